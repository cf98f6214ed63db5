/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the transport of registries: answers from memory, and remembers what was asked. */
#pragma once

#include "source_ops.h"

struct fake_document {
    const char *digest;     /* asked for by digest; NULL: by tag */
    const char *text;       /* the answer */
    const char *media_type; /* Content-Type, or NULL */
    const char *promised;   /* Docker-Content-Digest, or NULL */
};

/* What the next source opened will serve. A list that ends with a NULL text. */
void fake_docker_serve(const struct fake_document *manifests, const char *config);
/* The logical name it claims to have served it by; forgotten by fake_docker_serve(). */
void fake_docker_serve_as(const char *name);
/* How it was opened. */
bool fake_docker_host_was_explicit(void);
/* The reference it was opened with, formatted; static. */
const char *fake_docker_reference(void);
