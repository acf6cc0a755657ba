package servicedesk

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Server is a Desk that listens.
type Server struct {
	URL  string // http://127.0.0.1:port
	desk *Desk
	http *http.Server
	done chan error
}

// Serve listens on a loopback address, for example "127.0.0.1:0". Other addresses
// are refused: the pages ask for no login.
func Serve(addr string, desk *Desk) (*Server, error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", addr, err)
	}
	if !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("address %s is not loopback", addr)
	}
	l, err := net.ListenTCP("tcp", tcp)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	s := &Server{
		URL: "http://" + l.Addr().String(), desk: desk, done: make(chan error, 1),
		http: &http.Server{Handler: desk.Handler(), ReadHeaderTimeout: 10 * time.Second},
	}
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

// Close stops listening and closes the desk: stalled requests end, webhooks under way
// are waited for.
func (s *Server) Close() error {
	s.desk.release()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	<-s.done // the listener has ended
	return s.desk.Close()
}
