// A program for Node: fetch with keep-alive and an upload, or a WebSocket with the http module alone.
"use strict";
const http = require("http");
const crypto = require("crypto");

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
		const key = crypto.randomBytes(16).toString("base64");
		const request = http.request(url, {
			headers: {
				Connection: "Upgrade", Upgrade: "websocket",
				"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key,
			},
		});
		request.on("response", (answer) => resolve({ status: answer.statusCode }));
		request.on("error", reject);
		request.on("upgrade", (answer, socket) => {
			const text = Buffer.from("hello over the wire");
			const mask = crypto.randomBytes(4);
			const masked = text.map((byte, i) => byte ^ mask[i % 4]);
			socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length]), mask, masked]));
			let got = Buffer.alloc(0);
			socket.on("data", (bytes) => {
				got = Buffer.concat([got, bytes]);
				if (got.length >= 2 && got.length >= 2 + (got[1] & 0x7f)) {
					socket.destroy();
					resolve({ status: answer.statusCode, echo: got.subarray(2, 2 + got[1]).toString() });
				}
			});
		});
		request.end();
	});
}

const [what, url] = process.argv.slice(2);
(what === "fetch" ? fetches(url) : websocket(url)).then(
	(told) => { console.log(JSON.stringify(told)); process.exit(0); },
	(error) => { console.error(error); process.exit(1); });
