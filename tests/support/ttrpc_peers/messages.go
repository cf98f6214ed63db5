// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// What is spoken within a guest, read at run time: names and numbers of fields are all that counts on
// the wire.
var sources = map[string]string{
	"api.proto": `syntax = "proto3"; package api;
service ImagePullService { rpc PullImage(ImagePullRequest) returns (ImagePullResponse); }
message ImagePullRequest { string image_url = 1; string bundle_path = 2; }
message ImagePullResponse { string manifest_digest = 1; }
service GetResourceService { rpc GetResource(GetResourceRequest) returns (GetResourceResponse); }
message GetResourceRequest { string ResourcePath = 1; }
message GetResourceResponse { bytes Resource = 1; }
service SealedSecretService { rpc UnsealSecret(UnsealSecretInput) returns (UnsealSecretOutput); }
message UnsealSecretInput { bytes secret = 1; }
message UnsealSecretOutput { bytes plaintext = 1; }
service SecureMountService { rpc SecureMount(SecureMountRequest) returns (SecureMountResponse); }
message SecureMountRequest {
  string volume_type = 1; map<string, string> options = 2; repeated string flags = 3;
  string mount_point = 4;
}
message SecureMountResponse { string mount_path = 1; }`,
	"keyprovider.proto": `syntax = "proto3"; package keyprovider;
service KeyProviderService {
  rpc WrapKey(KeyProviderKeyWrapProtocolInput) returns (KeyProviderKeyWrapProtocolOutput);
  rpc UnWrapKey(KeyProviderKeyWrapProtocolInput) returns (KeyProviderKeyWrapProtocolOutput);
}
message KeyProviderKeyWrapProtocolInput { bytes KeyProviderKeyWrapProtocolInput = 1; }
message KeyProviderKeyWrapProtocolOutput { bytes KeyProviderKeyWrapProtocolOutput = 1; }`,
	"attestation_agent.proto": `syntax = "proto3"; package attestation_agent;
service AttestationAgentService {
  rpc ExtendRuntimeMeasurement(ExtendRuntimeMeasurementRequest)
    returns (ExtendRuntimeMeasurementResponse);
}
message ExtendRuntimeMeasurementRequest {
  string Domain = 1; string Operation = 2; string Content = 3; optional uint64 RegisterIndex = 4;
}
enum RuntimeMeasurementResult { OK = 0; NOT_SUPPORTED = 1; NOT_ENABLED = 2; }
message ExtendRuntimeMeasurementResponse { RuntimeMeasurementResult Result = 1; }`,
	// What no hub knows: for calls that are only passed on.
	"other.proto": `syntax = "proto3"; package other;
service Echo { rpc Say(Text) returns (Text); rpc Refuse(Text) returns (Text); }
message Text { string text = 1; }`,
}

type world struct{ files []protoreflect.FileDescriptor }

func readSources() (*world, error) {
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(sources)}}
	w := &world{}
	for name := range sources {
		files, err := compiler.Compile(context.Background(), name)
		if err != nil {
			return nil, err
		}
		w.files = append(w.files, files[0])
	}
	return w, nil
}

// services calls fn for every service.
func (w *world) services(fn func(protoreflect.ServiceDescriptor)) {
	for _, file := range w.files {
		for i := 0; i < file.Services().Len(); i++ {
			fn(file.Services().Get(i))
		}
	}
}

func (w *world) method(service, method string) protoreflect.MethodDescriptor {
	var found protoreflect.MethodDescriptor
	w.services(func(s protoreflect.ServiceDescriptor) {
		if string(s.FullName()) == service {
			found = s.Methods().ByName(protoreflect.Name(method))
		}
	})
	return found
}

// raw is a message of these bytes, all of them fields that nobody knows: they are sent as they are.
func raw(data []byte) (proto.Message, error) {
	message := &emptypb.Empty{}
	return message, proto.Unmarshal(data, message)
}

func bytesOf(message proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(message)
}

// ask makes the message of a request: from its fields as JSON, or from the bytes themselves.
func (w *world) ask(service, method string, fields []byte, data string) (proto.Message, error) {
	if fields == nil {
		bytes, err := hex.DecodeString(data)
		if err != nil {
			return nil, err
		}
		return raw(bytes)
	}
	found := w.method(service, method)
	if found == nil {
		return nil, fmt.Errorf("%s/%s is not known here: give bytes", service, method)
	}
	message := dynamicpb.NewMessage(found.Input())
	return message, protojson.Unmarshal(fields, message)
}

// tell is the answer's fields as JSON, nil for those that are not known here.
func (w *world) tell(service, method string, data []byte) ([]byte, error) {
	found := w.method(service, method)
	if found == nil {
		return nil, nil
	}
	message := dynamicpb.NewMessage(found.Output())
	if err := proto.Unmarshal(data, message); err != nil {
		return nil, err
	}
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
}
