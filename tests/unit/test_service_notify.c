/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[96];
static int manager = -1;

/* address: as NOTIFY_SOCKET has it. */
static void listen_at(const char *address)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t n = strlen(address);
    memcpy(name.sun_path, address, n);
    if (*address == '@')
        name.sun_path[0] = 0;
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&name,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
                     0);
    setenv("NOTIFY_SOCKET", address, 1);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test-notify-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    (void)snprintf(path, sizeof(path), "%s/socket", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    if (manager >= 0)
        close(manager);
    manager = -1;
    (void)unlink(path);
    return rmdir(folder);
}

static const char *heard(void)
{
    static char text[1024];
    ssize_t n = recv(manager, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void manager_hears_what_happens(void **state)
{
    (void)state;
    SL_AUTO(sl_notify) n = NULL;
    listen_at(path);
    assert_int_equal(sl_notify_open(&n, NULL), 0);
    assert_string_equal(heard(), "");
    sl_notify_ready(n);
    assert_string_equal(heard(), "READY=1");
    sl_notify_reloading(n);
    unsigned long long usec = 0;
    assert_int_equal(sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
    assert_true(usec > 0);
    sl_notify_alive(n);
    assert_string_equal(heard(), "WATCHDOG=1");
    sl_notify_stopping(n, 1500);
    assert_string_equal(heard(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=1500000");
}

static void status_is_sent_when_it_changes(void **state)
{
    (void)state;
    SL_AUTO(sl_notify) n = NULL;
    char lot[2000];
    listen_at(path);
    assert_int_equal(sl_notify_open(&n, NULL), 0);
    sl_notify_status(n, "1 pull");
    assert_string_equal(heard(), "STATUS=1 pull");
    sl_notify_status(n, "1 pull");
    assert_string_equal(heard(), "");
    sl_notify_status(n, "two\nREADY=1");
    assert_string_equal(heard(), "STATUS=two READY=1");
    memset(lot, 'a', sizeof(lot));
    lot[sizeof(lot) - 1] = 0;
    sl_notify_status(n, lot);
    assert_int_equal(strlen(heard()), strlen("STATUS=") + 511);
}

static void abstract_socket_is_reached(void **state)
{
    (void)state;
    SL_AUTO(sl_notify) n = NULL;
    char name[sizeof(folder) + 1];
    (void)snprintf(name, sizeof(name), "@%s", folder);
    listen_at(name);
    assert_int_equal(sl_notify_open(&n, NULL), 0);
    sl_notify_ready(n);
    assert_string_equal(heard(), "READY=1");
}

static void children_do_not_inherit_the_socket(void **state)
{
    (void)state;
    SL_AUTO(sl_notify) n = NULL;
    listen_at(path);
    setenv("WATCHDOG_USEC", "2000000", 1);
    assert_int_equal(sl_notify_open(&n, NULL), 0);
    assert_int_equal(sl_notify_watchdog_ms(n), 2000);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
}

static void watchdog_of_another_process_is_not_ours(void **state)
{
    (void)state;
    static const struct {
        const char *usec, *pid;
        int64_t want;
    } cases[] = {{"2000000", "1", 0}, {"2000000", NULL, 2000}, {"2s", NULL, 0}, {"-1", NULL, 0}};
    listen_at(path);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO(sl_notify) n = NULL;
        setenv("NOTIFY_SOCKET", path, 1);
        setenv("WATCHDOG_USEC", cases[i].usec, 1);
        if (cases[i].pid)
            setenv("WATCHDOG_PID", cases[i].pid, 1);
        assert_int_equal(sl_notify_open(&n, NULL), 0);
        assert_int_equal(sl_notify_watchdog_ms(n), cases[i].want);
    }
}

static void without_manager_nothing_happens(void **state)
{
    const bool stdin_was_closed = fcntl(STDIN_FILENO, F_GETFD) < 0;
    (void)state;
    SL_AUTO(sl_notify) n = NULL;
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "2000000", 1);
    assert_int_equal(sl_notify_open(&n, NULL), 0);
    assert_int_equal(sl_notify_watchdog_ms(n), 0);
    sl_notify_ready(n);
    sl_notify_status(n, "x");
    n = sl_notify_close(n);
    assert_int_equal(fcntl(STDIN_FILENO, F_GETFD) < 0, stdin_was_closed); /* it is not ours */
}

static void wrong_address_is_told(void **state)
{
    (void)state;
    static const char *const wrong[] = {"socket", "vsock:2:1234", "@", "/"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct sl_notify *n = NULL;
        struct sl_error err = {0};
        setenv("NOTIFY_SOCKET", wrong[i], 1);
        assert_int_equal(sl_notify_open(&n, &err), -EAFNOSUPPORT);
        assert_int_equal(err.code, SL_E_UNSUPPORTED);
    }
    unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(manager_hears_what_happens, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(status_is_sent_when_it_changes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(abstract_socket_is_reached, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(children_do_not_inherit_the_socket, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(watchdog_of_another_process_is_not_ours, make_folder,
                                        remove_folder),
        cmocka_unit_test(without_manager_nothing_happens),
        cmocka_unit_test(wrong_address_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
