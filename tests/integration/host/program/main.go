// Hostprobe runs its arguments as commands, in order, prints their results, and exits.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	for _, argument := range os.Args[1:] {
		verb, rest, _ := strings.Cut(argument, "=")
		switch verb {
		case "lookup":
			addresses, err := net.LookupHost(rest)
			fmt.Println(rest, addresses, err)
		case "connect":
			connection, err := net.Dial("tcp", rest)
			fmt.Println(rest, err)
			if err == nil {
				connection.Close()
			}
		case "listen":
			network, address, _ := strings.Cut(rest, ":")
			fmt.Println(rest, listen(network, ":"+address))
		case "write":
			file, text, _ := strings.Cut(rest, ":")
			fmt.Println(file, os.WriteFile(file, []byte(text), 0o600))
		case "read":
			text, err := os.ReadFile(rest)
			fmt.Println(rest, string(text), err)
		case "wait":
			fmt.Println("waiting")
			<-stop
		}
	}
}

// listen serves a port until the program exits: an echo for UDP, one word for TCP.
func listen(network, address string) error {
	if network == "udp" {
		socket, err := net.ListenPacket(network, address)
		if err == nil {
			go echo(socket)
		}
		return err
	}
	listener, err := net.Listen(network, address)
	if err == nil {
		go accept(listener)
	}
	return err
}

func accept(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		connection.Write([]byte("heard"))
		connection.Close()
	}
}

func echo(socket net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		n, from, err := socket.ReadFrom(buffer)
		if err != nil {
			return
		}
		socket.WriteTo(buffer[:n], from)
	}
}
