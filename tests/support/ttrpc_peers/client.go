// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// A line of standard input. Cancel: the id of a call that is given up.
type request struct {
	ID       int                 `json:"id"`
	Service  string              `json:"service"`
	Method   string              `json:"method"`
	Fields   json.RawMessage     `json:"fields"`  // of the message
	Hex      string              `json:"hex"`     // or its bytes
	Timeout  float64             `json:"timeout"` // seconds; 0: none
	Metadata map[string][]string `json:"metadata"`
	Cancel   int                 `json:"cancel"`
}

// A line of standard output, in the order in which answers come.
type answer struct {
	ID      int             `json:"id"`
	Code    uint32          `json:"code"`
	Message string          `json:"message"`
	Details []string        `json:"details,omitempty"` // "type URL hex"
	Fields  json.RawMessage `json:"fields,omitempty"`
	Hex     string          `json:"hex"`
	Local   bool            `json:"local"` // it was not the server who said so
	Seconds float64         `json:"seconds"`
}

type caller interface {
	Call(ctx context.Context, r *request, in, out proto.Message) error
}

type ttrpcCaller struct{ client *ttrpc.Client }

func (c ttrpcCaller) Call(ctx context.Context, r *request, in, out proto.Message) error {
	if r.Metadata != nil {
		ctx = ttrpc.WithMetadata(ctx, ttrpc.MD(r.Metadata))
	}
	return c.client.Call(ctx, r.Service, r.Method, in, out)
}

type grpcCaller struct{ connection *grpc.ClientConn }

func (c grpcCaller) Call(ctx context.Context, r *request, in, out proto.Message) error {
	if r.Metadata != nil {
		ctx = metadata.NewOutgoingContext(ctx, metadata.MD(r.Metadata))
	}
	return c.connection.Invoke(ctx, "/"+r.Service+"/"+r.Method, in, out)
}

func dial(wire, target string) (caller, error) {
	if wire == "grpc" {
		connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		return grpcCaller{connection}, err
	}
	connection, err := net.Dial("unix", target)
	if err != nil {
		return nil, err
	}
	return ttrpcCaller{ttrpc.NewClient(connection)}, nil
}

type client struct {
	world   *world
	caller  caller
	out     lines
	mutex   sync.Mutex
	cancels map[int]context.CancelFunc
}

func (c *client) context(r *request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	if r.Timeout != 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.Timeout*float64(time.Second)))
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.cancels[r.ID] = cancel
	return ctx, cancel
}

func explain(err error, a *answer) {
	// The client's own clock or patience has ended the call: no answer has come.
	a.Local = errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	if a.Local {
		err = status.FromContextError(err).Err()
	}
	said := status.Convert(err).Proto()
	a.Code, a.Message = uint32(said.GetCode()), said.GetMessage()
	for _, detail := range said.GetDetails() {
		a.Details = append(a.Details, detail.GetTypeUrl()+" "+hex.EncodeToString(detail.GetValue()))
	}
}

func (c *client) call(ctx context.Context, r *request) answer {
	a := answer{ID: r.ID}
	in, err := c.world.ask(r.Service, r.Method, r.Fields, r.Hex)
	if err != nil {
		a.Code, a.Message = 999, err.Error()
		return a
	}
	out := &emptypb.Empty{}
	begun := time.Now()
	err = c.caller.Call(ctx, r, in, out)
	a.Seconds = time.Since(begun).Seconds()
	if err != nil {
		explain(err, &a)
		return a
	}
	data, _ := bytesOf(out)
	a.Hex = hex.EncodeToString(data)
	if a.Fields, err = c.world.tell(r.Service, r.Method, data); err != nil {
		a.Code, a.Message = 999, err.Error()
	}
	return a
}

func (c *client) giveUp(id int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if cancel := c.cancels[id]; cancel != nil {
		cancel()
	}
}

// serve makes the calls that stdin asks for, all over one connection, until stdin ends: then the
// connection goes at once, whoever still waits.
func (c *client) serve(in io.Reader) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		r := &request{}
		if err := json.Unmarshal(scanner.Bytes(), r); err != nil {
			return err
		}
		if r.Cancel != 0 {
			c.giveUp(r.Cancel)
			continue
		}
		// Begun here, so that calls leave in the order of the lines where the library lets them.
		ctx, cancel := c.context(r)
		go func() {
			defer cancel()
			c.out.print(c.call(ctx, r))
		}()
	}
	return scanner.Err()
}

func runClient(w *world, wire, target string) error {
	caller, err := dial(wire, target)
	if err != nil {
		return err
	}
	c := &client{world: w, caller: caller, cancels: map[int]context.CancelFunc{}}
	return c.serve(os.Stdin)
}
