// SPDX-License-Identifier: Apache-2.0

// What surrounds a puller in a guest, over containerd's own ttrpc:
//
//	ttrpc_peers client [-wire grpc] SOCKET     makes the calls that lines of stdin ask for
//	ttrpc_peers aa SOCKET                      an attestation agent
//	ttrpc_peers cdh SOCKET FOLDER              a confidential data hub; the folder holds resources
//
// Lines of stdin and stdout are JSON: see client.go and servers.go. All end when stdin does.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// lines are written to stdout whole, by whatever goroutine.
type lines struct{ mutex sync.Mutex }

func (l *lines) print(value interface{}) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	fmt.Println(string(text))
}

func jsonOf(message proto.Message) ([]byte, error) {
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
}

func run() error {
	flags := flag.NewFlagSet("ttrpc_peers", flag.ExitOnError)
	wire := flags.String("wire", "ttrpc", "or grpc")
	if len(os.Args) < 3 {
		return fmt.Errorf("usage: ttrpc_peers client|aa|cdh [-wire grpc] SOCKET [FOLDER]")
	}
	if err := flags.Parse(os.Args[2:]); err != nil {
		return err
	}
	w, err := readSources()
	if err != nil {
		return err
	}
	if os.Args[1] == "client" {
		return runClient(w, *wire, flags.Arg(0))
	}
	return runServer(w, os.Args[1], flags.Arg(0), flags.Arg(1))
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ttrpc_peers:", err)
		os.Exit(1)
	}
}
