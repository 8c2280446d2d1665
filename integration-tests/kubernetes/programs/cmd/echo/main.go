// echo is the app of the tests: a server that says who answers and what it saw, a client that dials what it is told
// to, and a load that keeps dialling and counts what failed. Everything but the standard port is steered by HTTP on
// the control port, so that a test reaches it without the API server.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

const (
	appPort     = ":8080" // HTTP, the service's
	controlPort = ":8079" // HTTP, the test's
	linePort    = ":9000" // TCP and UDP: a line comes back with the pod's name before it
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		fmt.Fprintln(os.Stderr, "answer:", err)
	}
}

func serveAll() {
	served := newServed()
	go serveLines(linePort)
	go func() { fail(http.ListenAndServe(controlPort, controlHandler(served))) }()
	serveApp(served)
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: echo serve | get URL | pause"))
	}
	switch os.Args[1] {
	case "serve":
		serveAll()
	case "get":
		answer := get(newClient(false), os.Args[2])
		json.NewEncoder(os.Stdout).Encode(answer)
		if answer.Error != "" {
			os.Exit(1)
		}
	case "pause":
		pause()
	default:
		fail(fmt.Errorf("no such command: %s", os.Args[1]))
	}
}
