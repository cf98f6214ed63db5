/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever may connect to the key provider's socket controls these bytes. What the wire makes of
 * them must not depend on where they are cut, and everything it sends must be frames. */
#include "connection.h"
#include "ttrpc_frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LOG_MAX = 64 * 1024 * 1024 };

/* Everything that was asked for and sent, one behind the other. */
struct sl_connection {
    struct sl_bytes asked, sent;
    struct sl_wire *wire;
};

static void note(struct sl_bytes *log, const void *data, size_t len)
{
    if (sl_bytes_append(log, (struct sl_span){data, len}, LOG_MAX, NULL) < 0)
        abort();
}

int sl_connection_call(struct sl_connection *c, const struct sl_wire_request *request,
                       struct sl_error *err)
{
    (void)err;
    if (request->stream % 2 == 0 || request->timeout_ns < 0)
        abort();
    note(&c->asked, &request->stream, sizeof(request->stream));
    note(&c->asked, request->service.data, request->service.len);
    note(&c->asked, request->method.data, request->method.len);
    note(&c->asked, request->message.data, request->message.len);
    note(&c->asked, &request->timeout_ns, sizeof(request->timeout_ns));
    for (size_t i = 0; i < request->n_metadata; i++) {
        note(&c->asked, request->metadata[i].name, strlen(request->metadata[i].name) + 1);
        note(&c->asked, request->metadata[i].value, strlen(request->metadata[i].value) + 1);
    }
    return 0;
}

void sl_connection_abandon(struct sl_connection *c, uint32_t stream)
{
    (void)c;
    (void)stream;
    abort(); /* ttrpc cannot */
}

static void collect(struct sl_connection *c)
{
    struct sl_span out;
    do {
        if (c->wire->ops->output(c->wire, &out, NULL) < 0)
            abort();
        note(&c->sent, out.data, out.len);
    } while (out.len);
}

static void check_frames(struct sl_span sent)
{
    SL_AUTO_DONE(sl_ttrpc_reader) reader = {0};
    while (sent.len) {
        if (sl_ttrpc_reader_take(&reader, &sent, NULL) != 1 ||
            reader.header.type != SL_TTRPC_RESPONSE || reader.header.length == 0)
            abort(); /* refusals only, and whole ones */
        sl_ttrpc_reader_done(&reader);
    }
}

/* Pieces of step bytes; 0: all at once. */
static void run(struct sl_connection *c, struct sl_span bytes, size_t step)
{
    struct sl_error err = {0};
    if (sl_ttrpc_wire.open(c, &c->wire, NULL) < 0)
        abort();
    while (bytes.len) {
        size_t n = step && step < bytes.len ? step : bytes.len;
        if (c->wire->ops->input(c->wire, (struct sl_span){bytes.data, n}, &err) < 0)
            abort(); /* nothing a peer says ends the connection of others' calls */
        bytes = (struct sl_span){bytes.data + n, bytes.len - n};
        collect(c);
    }
    if (c->wire->ops->pending(c->wire) != 0)
        abort();
    c->wire->ops->close(c->wire);
    check_frames(sl_bytes_span(&c->sent));
}

static void drop(struct sl_connection *c)
{
    sl_bytes_done(&c->asked);
    sl_bytes_done(&c->sent);
}

static bool is_same(const struct sl_bytes *a, const struct sl_bytes *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_connection whole = {0}, cut = {0};
    if (size == 0)
        return 0;
    run(&whole, (struct sl_span){data, size}, 0);
    run(&cut, (struct sl_span){data, size}, 1 + data[size - 1] % 16);
    if (!is_same(&whole.asked, &cut.asked) || !is_same(&whole.sent, &cut.sent))
        abort();
    drop(&whole);
    drop(&cut);
    return 0;
}
