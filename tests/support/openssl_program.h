/* SPDX-License-Identifier: Apache-2.0 */
/* The openssl program as an oracle: it knows nothing of us. Include after cmocka. */
#pragma once

#include "sluice/core/subprocess.h"

#include "assert_result.h"
#include "scratch_dir.h"

#include <fcntl.h>
#include <sys/wait.h>

enum { SHELL_DEADLINE_MS = 60000, SHELL_OUTPUT_MAX = 65536 };

static inline void scratch_write_bytes(const struct scratch_dir *dir, const char *name,
                                       struct sl_span bytes)
{
    SL_AUTO_FREE char *path = scratch_path(dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, f), bytes.len);
    assert_int_equal(fclose(f), 0);
}

static inline struct sl_bytes scratch_read(const struct scratch_dir *dir, const char *name)
{
    struct sl_bytes b = {0};
    SL_AUTO_FREE char *path = scratch_path(dir, name);
    assert_int_equal(sl_read_file(AT_FDCWD, path, SHELL_OUTPUT_MAX, &b, NULL), 0);
    return b;
}

/* Runs a shell's command in the folder; whether it said yes. */
static inline bool shell_agrees(const struct scratch_dir *dir, const char *command)
{
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    const char *const argv[] = {"sh", "-c", "cd \"$0\" && eval \"$1\"", dir->path, command, NULL};
    const struct sl_subprocess process = {.argv = argv,
                                          .deadline_ms = SHELL_DEADLINE_MS,
                                          .output_max = SHELL_OUTPUT_MAX,
                                          .errors_max = 4096};
    assert_done(sl_subprocess_run(&process, &result, &err));
    return WIFEXITED(result.status) && WEXITSTATUS(result.status) == 0;
}

static inline void shell_run(const struct scratch_dir *dir, const char *command)
{
    if (!shell_agrees(dir, command))
        fail_msg("failed: %s", command);
}
