/* All that the tests' Pods do.
 *   peer serve PORT        answers each connection with its host name and uid, as a page
 *   peer fetch HOST PORT   asks for a page, and prints the answer
 *   peer unix PATH         connects to a UNIX socket, or says why not
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int failed(const char *what)
{
    perror(what);
    return 1;
}

static int serve(const char *port)
{
    char name[256], page[512], request[4096];
    struct addrinfo want = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *any;

    if (getaddrinfo(NULL, port, &want, &any))
        return 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, any->ai_addr, any->ai_addrlen) || listen(listener, 16) || gethostname(name, sizeof name))
        return failed("serve");
    snprintf(page, sizeof page, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n%s %d\n", name, (int)getuid());
    for (;;) {
        int peer = accept(listener, NULL, NULL);
        if (peer < 0)
            return failed("accept");
        if (read(peer, request, sizeof request) > 0 && write(peer, page, strlen(page)) < 0)
            perror("write");
        close(peer);
    }
}

static int fetch(const char *host, const char *port)
{
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    char part[4096];
    ssize_t length;
    struct addrinfo want = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;

    int error = getaddrinfo(host, port, &want, &found);
    if (error) {
        fprintf(stderr, "%s: %s\n", host, gai_strerror(error));
        return 1;
    }
    int peer = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(peer, found->ai_addr, found->ai_addrlen) || write(peer, request, strlen(request)) < 0)
        return failed(host);
    while ((length = read(peer, part, sizeof part)) > 0)
        fwrite(part, 1, (size_t)length, stdout);
    return 0;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    if (connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address))
        return failed(path);
    puts("connected");
    return 0;
}

int main(int count, char **words)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    if (count == 3 && !strcmp(words[1], "serve"))
        return serve(words[2]);
    if (count == 4 && !strcmp(words[1], "fetch"))
        return fetch(words[2], words[3]);
    if (count == 3 && !strcmp(words[1], "unix"))
        return connect_unix(words[2]);
    return 2;
}
