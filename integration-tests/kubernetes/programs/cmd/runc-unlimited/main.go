// runc-unlimited is runc for a cgroup v2 tree that has no controllers (they all belong to v1 on this machine): it takes
// the limits, which runc could not set there, out of the container's configuration and runs runc.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
)

var limits = []string{"memory", "cpu", "pids", "hugepageLimits", "unified", "blockIO"}

// liftLimits rewrites BUNDLE/config.json.
func liftLimits(bundle string) error {
	path := filepath.Join(bundle, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	config := map[string]any{}
	if err := json.Unmarshal(text, &config); err != nil {
		return err
	}
	if linux, ok := config["linux"].(map[string]any); ok {
		if resources, ok := linux["resources"].(map[string]any); ok {
			for _, limit := range limits {
				delete(resources, limit)
			}
		}
	}
	if text, err = json.Marshal(config); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func main() {
	arguments := os.Args[1:]
	if slices.Contains(arguments, "update") { // nothing but limits could be updated
		return
	}
	at := slices.Index(arguments, "--bundle")
	if at >= 0 && at+1 < len(arguments) && slices.Contains(arguments, "create") {
		if err := liftLimits(arguments[at+1]); err != nil {
			fmt.Fprintln(os.Stderr, "runc-unlimited:", err)
			os.Exit(1)
		}
	}
	runc, err := exec.LookPath("runc")
	if err == nil {
		err = syscall.Exec(runc, append([]string{"runc"}, arguments...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, "runc-unlimited:", err)
	os.Exit(1)
}
