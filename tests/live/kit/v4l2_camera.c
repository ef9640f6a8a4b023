/* A stand-in for a USB camera: preloaded into a process, it is /dev/video77 of that process alone, by the requests of
   V4L2 that a program makes which streams from memory-mapped buffers.

   V4L2_FRAMES names a file of planar 4:2:0 frames of V4L2_WIDTH x V4L2_HEIGHT, of which 10 a second are given, over and
   over. While the file V4L2_FRAMES.away exists, the camera is pulled out; while V4L2_FRAMES.frozen does, it gives
   nothing. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUFFERS = 4, FPS = 10 };

static int device = -1, frames = -1, next_buffer;
static long count, began_ms;

static int number_of(const char *name) { return atoi(getenv(name)); }

static size_t frame_size(void) { return (size_t)number_of("V4L2_WIDTH") * number_of("V4L2_HEIGHT") * 3 / 2; }

/* Of a buffer in the device: whole pages, as memory is mapped by pages. */
static size_t buffer_size(void) { return (frame_size() + 0xffff) & ~(size_t)0xffff; }

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int is_now(const char *state) {
    char path[4096];
    struct stat found;
    snprintf(path, sizeof path, "%s.%s", getenv("V4L2_FRAMES"), state);
    return stat(path, &found) == 0;
}

static int fail(int number) {
    errno = number;
    return -1;
}

static int plug_in(void) {
    if (is_now("away")) return fail(ENOENT);
    if (device >= 0) return fail(EBUSY);
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    frames = real(getenv("V4L2_FRAMES"), O_RDONLY);
    device = memfd_create("camera", 0);
    if (ftruncate(device, BUFFERS * buffer_size())) return -1;
    next_buffer = 0, count = 0, began_ms = now_ms();
    return device;
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    return strcmp(path, "/dev/video77") ? real(path, flags, mode) : plug_in();
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    return strcmp(path, "/dev/video77") ? real(path, flags, mode) : plug_in();
}

int close(int descriptor) {
    int (*real)(int) = dlsym(RTLD_NEXT, "close");
    if (descriptor >= 0 && descriptor == device) real(frames), device = frames = -1;
    return real(descriptor);
}

static void fill_format(struct v4l2_format *format) {
    struct v4l2_pix_format *pixels = &format->fmt.pix;
    pixels->width = number_of("V4L2_WIDTH"), pixels->height = number_of("V4L2_HEIGHT");
    pixels->pixelformat = V4L2_PIX_FMT_YUV420, pixels->field = V4L2_FIELD_NONE;
    pixels->bytesperline = pixels->width, pixels->sizeimage = frame_size();
}

static int give_frame(struct v4l2_buffer *buffer) {
    size_t size = frame_size();
    struct stat file;
    fstat(frames, &file);
    do {
        long due_ms = began_ms + ++count * 1000 / FPS, wait_ms = due_ms - now_ms();
        if (wait_ms > 0) usleep(wait_ms * 1000);
        buffer->timestamp.tv_sec = due_ms / 1000, buffer->timestamp.tv_usec = due_ms % 1000 * 1000;
    } while (is_now("frozen"));
    if (is_now("away")) return fail(ENODEV);
    char *data = malloc(size);
    ssize_t have = pread(frames, data, size, (count - 1) % (file.st_size / size) * size);
    if (have == (ssize_t)size) have = pwrite(device, data, size, next_buffer * buffer_size());
    free(data);
    if (have != (ssize_t)size) return fail(EIO);
    buffer->index = next_buffer, next_buffer = (next_buffer + 1) % BUFFERS;
    buffer->bytesused = size, buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    return 0;
}

static int answer(unsigned long request, void *data) {
    struct v4l2_capability *capability = data;
    struct v4l2_streamparm *parameters = data;
    struct v4l2_requestbuffers *buffers = data;
    struct v4l2_buffer *buffer = data;
    switch (request) {
    case VIDIOC_QUERYCAP:
        memset(capability, 0, sizeof *capability);
        capability->capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        return 0;
    case VIDIOC_G_FMT:
    case VIDIOC_S_FMT:
        fill_format(data);
        return 0;
    case VIDIOC_G_PARM:
        parameters->parm.capture.timeperframe.numerator = 1;
        parameters->parm.capture.timeperframe.denominator = FPS;
        return 0;
    case VIDIOC_G_INPUT:
        *(int *)data = 0;
        return 0;
    case VIDIOC_REQBUFS:
        buffers->count = BUFFERS;
        return 0;
    case VIDIOC_QUERYBUF:
        buffer->length = frame_size(), buffer->m.offset = buffer->index * buffer_size();
        return 0;
    case VIDIOC_DQBUF:
        return give_frame(buffer);
    case VIDIOC_ENUMINPUT:
    case VIDIOC_S_INPUT:
    case VIDIOC_S_PARM:
    case VIDIOC_QBUF:
    case VIDIOC_STREAMON:
    case VIDIOC_STREAMOFF:
        return 0;
    }
    return fail(EINVAL);
}

int ioctl(int descriptor, unsigned long request, ...) {
    va_list more;
    va_start(more, request);
    void *data = va_arg(more, void *);
    va_end(more);
    int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    return descriptor >= 0 && descriptor == device ? answer(request & 0xffffffff, data) : real(descriptor, request, data);
}
