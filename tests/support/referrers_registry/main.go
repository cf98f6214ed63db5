// SPDX-License-Identifier: Apache-2.0

// A registry in memory that has the referrers API of the OCI distribution specification 1.1, which
// docker-registry lacks. Prints its port once it listens; ends when stdin is closed.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/google/go-containerregistry/pkg/registry"
)

// What the registry says to a GET request of ours.
func ask(inner http.Handler, path string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer
}

// The library lists each referrer with the type of its config. The specification wants the
// artifactType of its manifest where there is one.
func listReferrers(inner http.Handler, w http.ResponseWriter, path string) {
	answer := ask(inner, path)
	var index v1.IndexManifest
	if answer.Code == http.StatusOK && json.Unmarshal(answer.Body.Bytes(), &index) == nil {
		repository, _, _ := strings.Cut(path, "/referrers/")
		for i, referrer := range index.Manifests {
			var manifest struct {
				ArtifactType string `json:"artifactType"`
			}
			body := ask(inner, repository+"/manifests/"+referrer.Digest.String()).Body.Bytes()
			if json.Unmarshal(body, &manifest) == nil && manifest.ArtifactType != "" {
				index.Manifests[i].ArtifactType = manifest.ArtifactType
			}
		}
		answer.Body.Reset()
		_ = json.NewEncoder(answer.Body).Encode(index)
	}
	w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	inner := registry.New(registry.WithReferrersSupport(true))
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/referrers/") {
			listReferrers(inner, w, r.URL.Path)
			return
		}
		inner.ServeHTTP(w, r)
	}
	log.Fatal(http.Serve(listener, http.HandlerFunc(handler)))
}
