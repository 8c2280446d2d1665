package main

import (
	"sync"
	"time"
)

const failuresKept = 200

// Load is what a load has done so far.
type Load struct {
	Requests int                `json:"requests"`
	Failed   int                `json:"failed"`
	Failures []Answer           `json:"failures"` // the first ones
	Pods     map[string]int     `json:"pods"`     // answers by pod
	First    map[string]float64 `json:"first"`    // when each pod's first answered request began
	Last     map[string]float64 `json:"last"`     // … and its last
	SlowMS   float64            `json:"slow_ms"`  // the slowest answer
	Log      []Logged           `json:"log"`      // every answer, if that was asked for
}

// Logged is one answer of a load.
type Logged struct {
	At  float64 `json:"at"` // when the request began
	Pod string  `json:"pod"`
}

// load repeats one request on several connections until it is stopped.
type load struct {
	mutex   sync.Mutex
	done    Load
	logs    bool
	stop    chan struct{}
	running sync.WaitGroup
}

func startLoad(url string, connections int, keepAlive, logs bool, pause time.Duration) *load {
	l := &load{stop: make(chan struct{}), logs: logs, done: Load{
		Failures: []Answer{}, Log: []Logged{}, Pods: map[string]int{}, First: map[string]float64{}, Last: map[string]float64{},
	}}
	client := newClient(keepAlive)
	l.running.Add(connections)
	for range connections {
		go func() {
			defer l.running.Done()
			for {
				select {
				case <-l.stop:
					return
				case <-time.After(pause):
					l.add(get(client, url))
				}
			}
		}()
	}
	return l
}

func (l *load) add(answer Answer) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.done.Requests++
	l.done.SlowMS = max(l.done.SlowMS, answer.MS)
	if answer.Status != 200 {
		l.done.Failed++
		if len(l.done.Failures) < failuresKept {
			l.done.Failures = append(l.done.Failures, answer)
		}
		return
	}
	if answer.Heard == nil {
		return
	}
	pod := answer.Heard.Pod
	l.done.Pods[pod]++
	if _, known := l.done.First[pod]; !known {
		l.done.First[pod] = answer.At
	}
	l.done.Last[pod] = answer.At
	if l.logs {
		l.done.Log = append(l.done.Log, Logged{answer.At, pod})
	}
}

func (l *load) end() {
	close(l.stop)
	l.running.Wait()
}
