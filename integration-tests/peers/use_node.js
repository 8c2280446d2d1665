// A program for Node: fetch with keep-alive and an upload, or a WebSocket of the package ws.
"use strict";
const crypto = require("crypto");
const WebSocket = require("ws");

async function fetches(base) {
	let right = 0;
	for (let i = 0; i < 10; i++)
		right += (await (await fetch(base + "/")).text()) === "hello";
	const answers = await Promise.all(
		Array.from({ length: 20 }, (_, i) =>
			fetch(base + "/echo", { method: "POST", body: `body ${i}` }).then((answer) => answer.text())));
	answers.forEach((text, i) => (right += text === `body ${i}`));
	right += (await fetch(base + "/status/404")).status === 404;
	const body = crypto.randomBytes(1000000);
	const answer = await fetch(base + "/echo", { method: "PUT", body });
	const upload = Buffer.from(await answer.arrayBuffer());
	return { right, upload: upload.equals(body) ? upload.length : -1 };
}

function websocket(url) {
	return new Promise((resolve, reject) => {
		const told = { texts: 0, bytes: 0 };
		const large = crypto.randomBytes(3000000);
		const socket = new WebSocket(url.replace(/^http/, "ws"));
		socket.on("error", reject);
		socket.on("unexpected-response", (_, answer) => reject(new Error(`status ${answer.statusCode}`)));
		socket.on("open", () => {
			for (let i = 0; i < 100; i++)
				socket.send(`text ${i}`);
			socket.send(large);
			socket.ping("still there?");
		});
		socket.on("pong", (bytes) => (told.pong = bytes.toString()));
		socket.on("message", (message, isBinary) => {
			if (!isBinary)
				told.texts += message.toString() === `text ${told.texts}`;
			else if (message.equals(large))
				told.bytes = message.length;
			if (isBinary)
				socket.close(1000, "enough");
		});
		socket.on("close", (code) => resolve({ ...told, closed: code }));
	});
}

const [what, url] = process.argv.slice(2);
(what === "fetch" ? fetches(url) : websocket(url)).then(
	(told) => { console.log(JSON.stringify(told)); process.exit(0); },
	(error) => { console.error(error); process.exit(1); });
