// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// How a server behaves, set by lines of standard input; the last one holds.
type mode struct {
	Hang    bool     `json:"hang"`    // answers when the next mode comes
	Code    int32    `json:"code"`    // refuses with this status
	Message string   `json:"message"` // of the refusal
	Details []string `json:"details"` // of the refusal: texts, each wrapped in an other.Text
	Result  int32    `json:"result"`  // of ExtendRuntimeMeasurement
}

// What was asked: a line of standard output.
type record struct {
	Service  string              `json:"service"`
	Method   string              `json:"method"`
	Hex      string              `json:"hex"` // the message, byte for byte
	Fields   json.RawMessage     `json:"fields,omitempty"`
	Metadata map[string][]string `json:"metadata"`
	Timeout  float64             `json:"timeout"` // seconds that the caller gives; 0: did not say
}

type server struct {
	world     *world
	out       lines
	resources string // folder
	mutex     sync.Mutex
	mode      mode
	changed   chan struct{} // closed when the mode changes
}

func (s *server) obey() {
	scanner := bufio.NewScanner(os.Stdin)
	for scanner.Scan() {
		next := mode{}
		if err := json.Unmarshal(scanner.Bytes(), &next); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		s.mutex.Lock()
		s.mode = next
		close(s.changed)
		s.changed = make(chan struct{})
		s.mutex.Unlock()
		s.out.print(map[string]bool{"obeyed": true})
	}
	os.Exit(0)
}

// present waits while the server hangs.
func (s *server) present() mode {
	for {
		s.mutex.Lock()
		now, changed := s.mode, s.changed
		s.mutex.Unlock()
		if !now.Hang {
			return now
		}
		<-changed
	}
}

func (m *mode) refusal() error {
	said := &spb.Status{Code: m.Code, Message: m.Message}
	for _, text := range m.Details {
		value := append([]byte{0x0a, byte(len(text))}, text...)
		said.Details = append(said.Details, &anypb.Any{TypeUrl: "type.googleapis.com/other.Text", Value: value})
	}
	return status.ErrorProto(said)
}

func (s *server) note(ctx context.Context, method protoreflect.MethodDescriptor, data []byte) {
	r := record{Service: string(method.Parent().FullName()), Method: string(method.Name()),
		Hex: hex.EncodeToString(data)}
	if found, ok := ttrpc.GetMetadata(ctx); ok {
		r.Metadata = found
	}
	if deadline, ok := ctx.Deadline(); ok {
		r.Timeout = time.Until(deadline).Seconds()
	}
	input := dynamicpb.NewMessage(method.Input())
	if proto.Unmarshal(data, input) == nil {
		r.Fields, _ = jsonOf(input)
	}
	s.out.print(r)
}

// handle answers every method of every service that this server has.
func (s *server) handle(method protoreflect.MethodDescriptor, answer answerer) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(interface{}) error) (interface{}, error) {
		whole := &emptypb.Empty{}
		if err := unmarshal(whole); err != nil {
			return nil, err
		}
		data, err := bytesOf(whole)
		if err != nil {
			return nil, err
		}
		s.note(ctx, method, data)
		now := s.present()
		if now.Code != 0 {
			return nil, now.refusal()
		}
		in := dynamicpb.NewMessage(method.Input())
		if err := proto.Unmarshal(data, in); err != nil {
			return nil, err
		}
		out := dynamicpb.NewMessage(method.Output())
		return out, answer(&now, in, out)
	}
}

type answerer func(now *mode, in, out *dynamicpb.Message) error

func get(m *dynamicpb.Message, name string) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
}

func set(m *dynamicpb.Message, name string, value interface{}) {
	m.Set(m.Descriptor().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOf(value))
}

func measure(now *mode, _, out *dynamicpb.Message) error {
	set(out, "Result", protoreflect.EnumNumber(now.Result))
	return nil
}

func unseal(_ *mode, in, out *dynamicpb.Message) error {
	set(out, "plaintext", append([]byte("unsealed "), get(in, "secret").Bytes()...))
	return nil
}

func mount(_ *mode, in, out *dynamicpb.Message) error {
	set(out, "mount_path", get(in, "mount_point").String())
	return nil
}

func say(_ *mode, in, out *dynamicpb.Message) error {
	set(out, "text", "you said "+get(in, "text").String())
	return nil
}

// read gives FOLDER/REPOSITORY/TYPE/TAG for kbs:///REPOSITORY/TYPE/TAG.
func (s *server) read(uri string) ([]byte, error) {
	name, is := strings.CutPrefix(uri, "kbs:///")
	if !is || strings.Contains(name, "..") {
		return nil, status.Error(codes.Internal, "[CDH] [ERROR]: Get Resource failed: bad uri "+uri)
	}
	data, err := os.ReadFile(filepath.Join(s.resources, name))
	if err != nil {
		return nil, status.Error(codes.Internal, "[CDH] [ERROR]: Get Resource failed: no such resource")
	}
	return data, nil
}

func (s *server) getResource(_ *mode, in, out *dynamicpb.Message) error {
	data, err := s.read(get(in, "ResourcePath").String())
	if err == nil {
		set(out, "Resource", data)
	}
	return err
}

// open is what a hub does with an annotation packet of version 1 or 2, wrapped with A256GCM.
func (s *server) open(annotation string) ([]byte, error) {
	text, err := base64.StdEncoding.DecodeString(annotation)
	if err != nil {
		return nil, err
	}
	var packet struct {
		Kid     string `json:"kid"`
		Wrapped []byte `json:"wrapped_data"`
		IV      []byte `json:"iv"`
	}
	if err := json.Unmarshal(text, &packet); err != nil {
		return nil, err
	}
	key, err := s.read(packet.Kid)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return gcm.Open(nil, packet.IV, packet.Wrapped, nil)
}

func (s *server) unwrapKey(_ *mode, in, out *dynamicpb.Message) error {
	var input struct {
		Params struct {
			Annotation string `json:"annotation"`
		} `json:"keyunwrapparams"`
	}
	if err := json.Unmarshal(get(in, "KeyProviderKeyWrapProtocolInput").Bytes(), &input); err != nil {
		return status.Error(codes.InvalidArgument, "[CDH] [ERROR]: "+err.Error())
	}
	options, err := s.open(input.Params.Annotation)
	if err != nil {
		return status.Error(codes.Internal, "[CDH] [ERROR]: UnWrap Key failed: "+err.Error())
	}
	numbers := make([]int, len(options))
	for i, b := range options {
		numbers[i] = int(b)
	}
	text, _ := json.Marshal(map[string]interface{}{"keyunwrapresults": map[string]interface{}{"optsdata": numbers}})
	set(out, "KeyProviderKeyWrapProtocolOutput", text)
	return nil
}

// wrapKey is refused as a hub refuses it.
func wrapKey(*mode, *dynamicpb.Message, *dynamicpb.Message) error {
	return status.Error(codes.NotFound, "/keyprovider.KeyProviderService/WrapKey is not supported")
}

// pull says who was asked: a hub in whose place another one stands must not be.
func pull(*mode, *dynamicpb.Message, *dynamicpb.Message) error {
	return status.Error(codes.Internal, "[CDH] [ERROR]: the upstream was asked to pull")
}

// serve prints a line {"ready":true} once the socket is there.
func (s *server) serve(socket string, answerers map[string]answerer) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	real, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	s.world.services(func(service protoreflect.ServiceDescriptor) {
		methods := map[string]ttrpc.Method{}
		for i := 0; i < service.Methods().Len(); i++ {
			method := service.Methods().Get(i)
			if answer := answerers[string(method.Name())]; answer != nil {
				methods[string(method.Name())] = s.handle(method, answer)
			}
		}
		if len(methods) > 0 {
			real.RegisterService(string(service.FullName()), &ttrpc.ServiceDesc{Methods: methods})
		}
	})
	go s.obey()
	s.out.print(map[string]bool{"ready": true})
	return real.Serve(context.Background(), listener)
}

func runServer(w *world, kind, socket, resources string) error {
	s := &server{world: w, resources: resources, changed: make(chan struct{})}
	if kind == "aa" {
		return s.serve(socket, map[string]answerer{"ExtendRuntimeMeasurement": measure})
	}
	return s.serve(socket, map[string]answerer{"UnsealSecret": unseal, "SecureMount": mount,
		"GetResource": s.getResource, "UnWrapKey": s.unwrapKey, "WrapKey": wrapKey, "PullImage": pull,
		"Say": say})
}
