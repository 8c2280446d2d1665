package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"
)

const dialLimit = 5 * time.Second

// Answer is what came of one request.
type Answer struct {
	Status int     `json:"status"`
	Heard  *Heard  `json:"heard,omitempty"` // when an echo answered
	Body   string  `json:"body,omitempty"`  // when somebody else did
	Local  string  `json:"local"`           // addresses as this pod's socket has them
	Remote string  `json:"remote"`
	Error  string  `json:"error,omitempty"`
	At     float64 `json:"at"` // when it began, seconds since the epoch
	MS     float64 `json:"ms"`
}

func newClient(keepAlive bool) *http.Client {
	dialer := net.Dialer{Timeout: dialLimit}
	return &http.Client{Timeout: dialLimit, Transport: &http.Transport{
		DialContext: dialer.DialContext, DisableKeepAlives: !keepAlive, MaxIdleConnsPerHost: 64,
	}}
}

func get(client *http.Client, url string) (ret Answer) {
	began := time.Now()
	ret.At = now()
	defer func() { ret.MS = float64(time.Since(began).Microseconds()) / 1000 }()
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		ret.Error = err.Error()
		return
	}
	trace := httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		ret.Local, ret.Remote = got.Conn.LocalAddr().String(), got.Conn.RemoteAddr().String()
	}}
	response, err := client.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), &trace)))
	if err != nil {
		ret.Error = err.Error()
		return
	}
	defer response.Body.Close()
	ret.Status = response.StatusCode
	body, err := io.ReadAll(response.Body)
	if err != nil {
		ret.Error = err.Error()
		return
	}
	var heard Heard
	if json.Unmarshal(body, &heard) == nil && heard.Pod != "" {
		ret.Heard = &heard
	} else {
		ret.Body = string(body)
	}
	return
}

// sendLine sends one line by "tcp" or "udp" and returns what comes back.
func sendLine(network, address, line string) (string, error) {
	connection, err := net.DialTimeout(network, address, dialLimit)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(dialLimit))
	if network == "tcp" {
		fmt.Fprintln(connection, line)
		reply, err := bufio.NewReader(connection).ReadString('\n')
		return strings.TrimSpace(reply), err
	}
	fmt.Fprint(connection, line)
	buffer := make([]byte, 2048)
	size, err := connection.Read(buffer)
	return string(buffer[:size]), err
}
