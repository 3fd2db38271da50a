// Echo in Go: a goroutine for each connection.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

const bufferBytes = 8192

// TCP_NODELAY is set by the library.
func echo(peer net.Conn) {
	defer peer.Close()
	buffer := make([]byte, bufferBytes)
	for {
		size, err := peer.Read(buffer)
		if err != nil {
			return
		}
		if _, err := peer.Write(buffer[:size]); err != nil {
			return
		}
	}
}

func fail(what string, err error) {
	fmt.Fprintf(os.Stderr, "echo-go: %s: %v\n", what, err)
	os.Exit(1)
}

func main() {
	host := flag.String("host", "127.0.0.1", "address to listen on")
	port := flag.Int("port", 25000, "port to listen on, 0 picks a free one")
	flag.Bool("quiet", true, "accepted for the sake of the other servers: nothing is printed")
	flag.Parse()
	if flag.NArg() > 0 || *port < 0 || *port > 65535 {
		fmt.Fprintln(os.Stderr, "echo-go: a port from 0 to 65535 is accepted, and no arguments; see --help")
		os.Exit(2)
	}

	listener, err := net.Listen("tcp", net.JoinHostPort(*host, strconv.Itoa(*port)))
	if err != nil {
		fail("cannot listen", err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		os.Exit(0)
	}()
	if _, err := io.WriteString(os.Stdout, "listening on "+listener.Addr().String()+"\n"); err != nil {
		fail("cannot write to stdout", err)
	}
	for {
		peer, err := listener.Accept()
		if err != nil {
			fail("cannot accept", err)
		}
		go echo(peer)
	}
}
