/* pid 1 of a lab host: makes the namespaces, stays, and reaps whatever is left to it.
 *
 * It must reap: QEMU daemonizes and so becomes a child of pid 1, and libvirt waits 40 s for each one that stays a zombie.
 *
 * Prints its pid as the starter sees it, then waits for one byte on stdin, so that the starter can write the pid down
 * first; a starter that dies before that leaves nothing behind. The byte says when to end, and take all of the host with
 * it: 's' only by SIGKILL; 't', tied, also when stdin closes, which it does however the starter ends.
 *
 * Needs no argument; what it is called is for people who read `ps`.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static void wake(int signal)
{
    (void)signal;
}

int main(void)
{
    char go;
    sigset_t child, none;
    struct pollfd starter = {.fd = 0, .events = POLLIN};

    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID) < 0)
        return fail("unshare");
    pid_t pid = fork();
    if (pid < 0)
        return fail("fork");
    if (pid > 0) {
        printf("%d\n", (int)pid);
        return 0;
    }

    /* Blocked except inside ppoll: a child that ends just before it still wakes it. */
    sigemptyset(&none);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    signal(SIGCHLD, wake);
    int null = open("/dev/null", O_RDWR);
    if (null < 0)
        return fail("/dev/null");
    dup2(null, 1);
    dup2(null, 2);
    if (read(0, &go, 1) != 1)
        return 1;
    close(null);
    nfds_t watched = go == 't';
    for (;;) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (ppoll(&starter, watched, NULL, &none) > 0)
            return 0;
    }
}
