package main

import (
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// control is what the test may ask of this pod.
type control struct {
	served *served
	mutex  sync.Mutex
	loads  map[string]*load
}

func controlHandler(s *served) http.Handler {
	c := &control{served: s, loads: map[string]*load{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /seen", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, c.served.list()) })
	mux.HandleFunc("GET /get", c.get)
	mux.HandleFunc("GET /line", c.line)
	mux.HandleFunc("GET /resolve", c.resolve)
	mux.HandleFunc("POST /load/{name}", c.start)
	mux.HandleFunc("GET /load/{name}", c.show)
	mux.HandleFunc("DELETE /load/{name}", c.end)
	return mux
}

// get makes ?n requests to ?url, on one connection if ?keepalive.
func (c *control) get(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	times, _ := strconv.Atoi(query.Get("n"))
	client := newClient(query.Get("keepalive") != "")
	defer client.CloseIdleConnections()
	answers := []Answer{}
	for range max(times, 1) {
		answers = append(answers, get(client, query.Get("url")))
	}
	writeJSON(w, answers)
}

// line sends ?text to ?address by ?network.
func (c *control) line(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	reply, err := sendLine(query.Get("network"), query.Get("address"), query.Get("text"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	writeJSON(w, reply)
}

func (c *control) resolve(w http.ResponseWriter, r *http.Request) {
	addresses, err := net.DefaultResolver.LookupHost(r.Context(), r.URL.Query().Get("name"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	writeJSON(w, addresses)
}

// start begins a load: ?url, ?connections, ?keepalive, ?log, ?pause_ms between two requests of a connection.
func (c *control) start(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	connections, _ := strconv.Atoi(query.Get("connections"))
	pause, _ := strconv.Atoi(query.Get("pause_ms"))
	started := startLoad(query.Get("url"), max(connections, 1), query.Get("keepalive") != "",
		query.Get("log") != "", time.Duration(pause)*time.Millisecond)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if old := c.loads[r.PathValue("name")]; old != nil {
		old.end()
	}
	c.loads[r.PathValue("name")] = started
	writeJSON(w, "started")
}

func (c *control) named(w http.ResponseWriter, r *http.Request) *load {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	found := c.loads[r.PathValue("name")]
	if found == nil {
		http.Error(w, "no such load", http.StatusNotFound)
	}
	return found
}

func (c *control) show(w http.ResponseWriter, r *http.Request) {
	if found := c.named(w, r); found != nil {
		found.mutex.Lock()
		defer found.mutex.Unlock()
		writeJSON(w, found.done)
	}
}

// end stops a load and answers with all that it did.
func (c *control) end(w http.ResponseWriter, r *http.Request) {
	if found := c.named(w, r); found != nil {
		found.end()
		c.mutex.Lock()
		delete(c.loads, r.PathValue("name"))
		c.mutex.Unlock()
		writeJSON(w, found.done)
	}
}
