package main

import (
	"os"
	"os/signal"
	"syscall"
)

// pause holds a pod's namespaces open and reaps what ends in them; it is the sandbox image's only program.
func pause() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT)
	for which := range signals {
		if which != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}
