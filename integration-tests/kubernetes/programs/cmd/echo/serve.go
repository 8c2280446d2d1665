package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Seen is one kind of request that this pod answered: the path, and who asked.
type Seen struct {
	Path   string  `json:"path"`
	Peer   string  `json:"peer"`
	Agent  string  `json:"agent"`
	Count  int     `json:"count"`
	LastAt float64 `json:"last_at"` // seconds since the epoch
}

// served counts the requests of the app port.
type served struct {
	mutex sync.Mutex
	kinds map[string]*Seen
}

func newServed() *served { return &served{kinds: map[string]*Seen{}} }

func now() float64 { return float64(time.Now().UnixNano()) / 1e9 }

func (s *served) add(r *http.Request) {
	peer, _, _ := net.SplitHostPort(r.RemoteAddr)
	key := r.URL.Path + " " + peer + " " + r.UserAgent()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.kinds[key] == nil {
		s.kinds[key] = &Seen{Path: r.URL.Path, Peer: peer, Agent: r.UserAgent()}
	}
	s.kinds[key].Count++
	s.kinds[key].LastAt = now()
}

func (s *served) list() []Seen {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	kinds := []Seen{}
	for _, seen := range s.kinds {
		kinds = append(kinds, *seen)
	}
	return kinds
}

// Heard is what the app port answers.
type Heard struct {
	Pod    string              `json:"pod"`
	Node   string              `json:"node"`
	Peer   string              `json:"peer"`
	Local  string              `json:"local"`
	Method string              `json:"method"`
	Host   string              `json:"host"`
	Path   string              `json:"path"`
	Header map[string][]string `json:"header"`
	Body   string              `json:"body,omitempty"`
}

// answer understands ?status=CODE and ?ms=DELAY.
func answer(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if delay, err := strconv.Atoi(query.Get("ms")); err == nil {
		time.Sleep(time.Duration(delay) * time.Millisecond)
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if status, err := strconv.Atoi(query.Get("status")); err == nil {
		w.WriteHeader(status)
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	writeJSON(w, Heard{
		Pod: os.Getenv("POD_NAME"), Node: os.Getenv("NODE_NAME"), Peer: r.RemoteAddr, Local: local.String(),
		Method: r.Method, Host: r.Host, Path: r.URL.Path, Header: r.Header, Body: string(body),
	})
}

// serveApp serves until SIGTERM and then LINGER longer, as an app that shuts down gracefully does.
func serveApp(s *served) {
	linger, _ := time.ParseDuration(os.Getenv("LINGER"))
	server := http.Server{Addr: appPort, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.add(r)
		answer(w, r)
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
		<-signals
		time.Sleep(linger)
		deadline, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Shutdown(deadline)
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fail(err)
	}
	<-ended
}

func serveLines(port string) {
	listener, err := net.Listen("tcp", port)
	if err != nil {
		fail(err)
	}
	packets, err := net.ListenPacket("udp", port)
	if err != nil {
		fail(err)
	}
	go echoPackets(packets)
	for {
		connection, err := listener.Accept()
		if err != nil {
			fail(err)
		}
		go echoLines(connection)
	}
}

func echoLines(connection net.Conn) {
	defer connection.Close()
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		fmt.Fprintf(connection, "%s %s\n", os.Getenv("POD_NAME"), lines.Text())
	}
}

func echoPackets(packets net.PacketConn) {
	buffer := make([]byte, 2048)
	for {
		size, peer, err := packets.ReadFrom(buffer)
		if err != nil {
			fail(err)
		}
		packets.WriteTo(fmt.Appendf(nil, "%s %s", os.Getenv("POD_NAME"), buffer[:size]), peer)
	}
}
