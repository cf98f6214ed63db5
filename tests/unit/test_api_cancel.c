/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever waits for a peer ends when its descriptor says so. The peer is a socket that takes
 * connections and never says a word; the descriptor speaks up once there is one. */
#include "sluice.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "layout_fixture.h"
#include "sluice/core/bytes.h"

#define CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define CONFIG_TEXT                                                                                \
    "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":"   \
    "[]}}"

struct deaf {
    int listener, cancel_fd;
    pthread_t thread;
    char address[64];
};

static void *cancel_when_connected(void *arg)
{
    const struct deaf *deaf = arg;
    struct pollfd connected = {.fd = deaf->listener, .events = POLLIN};
    (void)poll(&connected, 1, -1);
    (void)eventfd_write(deaf->cancel_fd, 1);
    return NULL;
}

static void listen_at(struct deaf *deaf, const struct sockaddr *address, socklen_t len)
{
    deaf->listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(deaf->listener >= 0);
    assert_int_equal(bind(deaf->listener, address, len), 0);
    assert_int_equal(listen(deaf->listener, 8), 0);
    deaf->cancel_fd = eventfd(0, EFD_CLOEXEC);
    assert_true(deaf->cancel_fd >= 0);
    assert_int_equal(pthread_create(&deaf->thread, NULL, cancel_when_connected, deaf), 0);
}

static void deaf_registry(struct deaf *deaf)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(in);
    listen_at(deaf, (const struct sockaddr *)&in, len);
    assert_int_equal(getsockname(deaf->listener, (struct sockaddr *)&in, &len), 0);
    (void)snprintf(deaf->address, sizeof(deaf->address), "docker://127.0.0.1:%u/some/image:1",
                   ntohs(in.sin_port));
}

/* A name that no folder has, and that is this test's alone. */
static void deaf_hub(struct deaf *deaf)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int n = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "sluice-test-deaf-%d", getpid());
    listen_at(deaf, (const struct sockaddr *)&un,
              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n));
    (void)snprintf(deaf->address, sizeof(deaf->address), "unix://@%s", un.sun_path + 1);
}

static void deaf_done(struct deaf *deaf)
{
    pthread_join(deaf->thread, NULL);
    close(deaf->listener);
    close(deaf->cancel_fd);
}

static struct sluice *open_storeless(void)
{
    struct sluice *s = NULL;
    const struct sluice_options o = SLUICE_OPTIONS(sluice_options, .parts = SLUICE_NO_STORE);
    assert_int_equal(sluice_open(&o, &s, NULL), 0);
    return s;
}

static void inspection_is_cancelled(void **state)
{
    (void)state;
    struct deaf deaf;
    struct sluice_documents *documents = NULL;
    struct sluice_error err = {0};
    deaf_registry(&deaf);
    struct sluice *s = open_storeless();
    const struct sluice_inspect_options o =
        SLUICE_OPTIONS(sluice_inspect_options, .image = deaf.address, .cancel_fd = deaf.cancel_fd);
    assert_int_equal(sluice_inspect(s, &o, &documents, &err), -ECANCELED);
    assert_int_equal(err.code, SLUICE_E_CANCELLED);
    assert_null(documents);
    assert_null(sluice_close(s));
    deaf_done(&deaf);
}

static void request_for_a_resource_is_cancelled(void **state)
{
    (void)state;
    struct deaf deaf;
    struct sluice_keys *keys = NULL;
    struct sluice_error err = {0};
    void *resource = NULL;
    size_t size = 0;
    deaf_hub(&deaf);
    const struct sluice_key_options o =
        SLUICE_OPTIONS(sluice_key_options, .upstream = deaf.address, .key_providers = "",
                       .cancel_fd = deaf.cancel_fd);
    assert_int_equal(sluice_keys_open(&o, &keys, NULL), 0);
    assert_int_equal(sluice_keys_get_resource(keys, "kbs:///a/b/c", &resource, &size, &err),
                     -ECANCELED);
    assert_int_equal(err.code, SLUICE_E_CANCELLED);
    assert_null(sluice_keys_close(keys));
    deaf_done(&deaf);
}

/* An image without layers: all that is asked of the destination is asked by the story's thread. */
static void add_image(const struct layout_fixture *fx)
{
    SL_AUTO_FREE char *config = layout_fixture_add_document(fx, CONFIG_TYPE, CONFIG_TEXT, "");
    SL_AUTO_FREE char *manifest = sl_strf("{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_TYPE
                                          "\",\"config\":%s,\"layers\":[]}",
                                          config);
    SL_AUTO_FREE char *entry = layout_fixture_add_document(fx, MANIFEST_TYPE, manifest, "");
    layout_fixture_write_index(fx, entry);
}

static void destination_of_a_conversion_is_cancelled(void **state)
{
    (void)state;
    struct deaf deaf;
    struct layout_fixture fx;
    struct sluice_error err = {0};
    layout_fixture_new(&fx);
    add_image(&fx);
    deaf_registry(&deaf);
    struct sluice *s = open_storeless();
    SL_AUTO_FREE char *source = sl_strf("oci:%s", fx.dir);
    const struct sluice_convert_options o =
        SLUICE_OPTIONS(sluice_convert_options, .source = source, .destination = deaf.address,
                       .cancel_fd = deaf.cancel_fd);
    assert_int_equal(sluice_decrypt(s, &o, NULL, &err), -ECANCELED);
    assert_int_equal(err.code, SLUICE_E_CANCELLED);
    assert_null(sluice_close(s));
    deaf_done(&deaf);
    layout_fixture_free(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inspection_is_cancelled),
        cmocka_unit_test(request_for_a_resource_is_cancelled),
        cmocka_unit_test(destination_of_a_conversion_is_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
