/* SPDX-License-Identifier: Apache-2.0 */
/* Pulls an image and mounts it at BUNDLE/rootfs; Ctrl-C ends it cleanly.
 *
 *     cc pull.c -o pull $(pkg-config --cflags --libs sluice) && sudo ./pull alpine /tmp/bundle
 */
#include <inttypes.h>
#include <signal.h>
#include <sluice.h>
#include <stdio.h>
#include <sys/eventfd.h>

static int stop;

static void on_signal(int signal)
{
    (void)signal;
    (void)eventfd_write(stop, 1); /* a plain write(): signal handlers may */
}

static void show_progress(void *arg, const struct sluice_pull_report *report)
{
    uint64_t received = 0, total = 0;
    size_t done = 0;
    (void)arg;
    for (size_t i = 0; i < report->n_layers; i++) {
        const struct sluice_layer *layer = report->layers[i];
        int is_done = layer->state == SLUICE_LAYER_DONE || layer->state == SLUICE_LAYER_CACHED;
        received += is_done ? layer->bytes : layer->received;
        total += layer->bytes;
        done += is_done;
    }
    int width = total ? (int)(40 * received / total) : 40;
    fprintf(stderr, "\r[%.*s%*s] %zu/%zu layers, %" PRIu64 "/%" PRIu64 " MB ", width,
            "########################################", 40 - width, "", done, report->n_layers,
            received / 1000000, total / 1000000);
}

int main(int argc, char **argv)
{
    struct sluice_options options =
        SLUICE_OPTIONS(sluice_options, .root = argc > 3 ? argv[3] : NULL);
    struct sluice_pull_report *report = NULL;
    struct sluice_error error = {0};
    struct sluice *sluice = NULL;
    if (argc < 2)
        return fprintf(stderr, "usage: %s IMAGE [BUNDLE [STORE]]\n", argv[0]), 2;
    stop = eventfd(0, EFD_CLOEXEC);
    signal(SIGINT, on_signal);
    /* The machine's policy.json says which signatures the image needs. */
    struct sluice_pull_options pull =
        SLUICE_OPTIONS(sluice_pull_options, .image = argv[1], .bundle = argc > 2 ? argv[2] : NULL,
                       .cancel_fd = stop, .progress = show_progress);
    if (sluice_open(&options, &sluice, &error) == 0 &&
        sluice_pull(sluice, &pull, &report, &error) == 0)
        printf("\n%s\n", report->manifest);
    else
        fprintf(stderr, "\n%s error: %s\n", sluice_code_name(error.code), error.message);
    sluice_pull_report_free(report);
    sluice_close(sluice);
    return error.code != SLUICE_OK;
}
