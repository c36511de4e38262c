/* Calls the functions of the C interface that teach a network other classes, right and wrong. Prints the numbers, floats by their
 * bits, for tests/capi/main.rs to compare with those of the Rust library.
 *
 *     learn PICTURE PICTURE
 */
#include <math.h>

#include "check.h"

enum { PHOTOGRAPHS = 6, WIDTH = 512 };

static void learn(const occlude_network *network, const occlude_image *image, const float *features, size_t views,
                  const size_t *targets, double l2)
{
    occlude_network *learned;
    float probabilities[2];
    DO(occlude_network_learn(network, features, PHOTOGRAPHS * WIDTH, views, targets, PHOTOGRAPHS / views, 2, l2,
                             &learned));
    CHECK(occlude_network_classes(learned) == 2 && strcmp(occlude_label(learned, 1), "class 1") == 0);
    DO(occlude_network_labels(learned, "cat\nphotographer", 16));
    CHECK(strcmp(occlude_label(learned, 1), "photographer") == 0);
    DO(occlude_classify(learned, image, probabilities, 2));
    print("learned", probabilities, 2);
    occlude_network_free(learned);
}

static void refusals(const occlude_network *network, const occlude_image *image, const float *features,
                     const size_t *targets)
{
    static float some[WIDTH];
    const size_t all = PHOTOGRAPHS * WIDTH, odd[PHOTOGRAPHS] = {0, 1, 2, 0, 1, 1};
    occlude_network *none = NULL;
    CHECK(occlude_features_count(NULL) == 0);
    ARGUMENT("network: is NULL", occlude_features(NULL, image, some, WIDTH));
    ARGUMENT("image: is NULL", occlude_features(network, NULL, some, WIDTH));
    ARGUMENT("features: is NULL", occlude_features(network, image, NULL, WIDTH));
    ARGUMENT("count: is 511, expected 512", occlude_features(network, image, some, WIDTH - 1));
    ARGUMENT("learned: is NULL", occlude_network_learn(network, features, all, 1, targets, PHOTOGRAPHS, 2, 1, NULL));
#define LEARN(status, text, network, features, values, views, targets, count, classes, l2)                       \
    do {                                                                                                         \
        REFUSED(status, text,                                                                                    \
                occlude_network_learn(network, features, values, views, targets, count, classes, l2, &none));    \
        CHECK(none == NULL);                                                                                     \
    } while (0)
    LEARN(OCCLUDE_ERROR_ARGUMENT, "network: is NULL", NULL, features, all, 1, targets, PHOTOGRAPHS, 2, 1);
    LEARN(OCCLUDE_ERROR_ARGUMENT, "features: is NULL", network, NULL, all, 1, targets, PHOTOGRAPHS, 2, 1);
    LEARN(OCCLUDE_ERROR_ARGUMENT, "targets: is NULL", network, features, all, 1, NULL, PHOTOGRAPHS, 2, 1);
    LEARN(OCCLUDE_ERROR_ARGUMENT, "values: is 3071, expected 512 for each of 1 views of 6 photographs", network,
          features, all - 1, 1, targets, PHOTOGRAPHS, 2, 1);
    LEARN(OCCLUDE_ERROR_ARGUMENT, "values: is 3072", network, features, all, 0, targets, PHOTOGRAPHS, 2, 1);
    LEARN(OCCLUDE_ERROR_ARGUMENT, "values: is 3072", network, features, all, (size_t)-1, targets, PHOTOGRAPHS, 2, 1);
    LEARN(OCCLUDE_ERROR_ARGUMENT, "targets: has 1 photographs of class 2, expected at least 2", network, features, all,
          1, odd, PHOTOGRAPHS, 3, 0);
    LEARN(OCCLUDE_ERROR_ARGUMENT, "targets: has 0 photographs of class 2, expected at least 1", network, features, all,
          1, targets, PHOTOGRAPHS, 3, 1);
    LEARN(OCCLUDE_ERROR_OPTION, "target 2", network, features, all, 1, odd, PHOTOGRAPHS, 2, 1);
    LEARN(OCCLUDE_ERROR_OPTION, "number of classes 1 ", network, features, all, 1, targets, PHOTOGRAPHS, 1, 1);
    LEARN(OCCLUDE_ERROR_OPTION, "number of classes 18", network, features, all, 1, targets, PHOTOGRAPHS, (size_t)-1, 1);
    LEARN(OCCLUDE_ERROR_OPTION, "number of rows 0", network, features, 0, 1, targets, 0, 2, 1);
    LEARN(OCCLUDE_ERROR_OPTION, "regularisation -1", network, features, all, 1, targets, PHOTOGRAPHS, 2, -1);
    memcpy(some, features, sizeof some);
    some[7] = HUGE_VALF;
    LEARN(OCCLUDE_ERROR_OPTION, "feature inf", network, some, WIDTH, 1, targets, 1, 2, 1);
}

int main(int argc, char **argv)
{
    static float features[PHOTOGRAPHS * WIDTH];
    static const size_t targets[PHOTOGRAPHS] = {0, 1, 0, 1, 0, 1}, of_pairs[PHOTOGRAPHS / 3] = {0, 1};
    occlude_network *network;
    occlude_image *image = NULL;
    CHECK(argc == 3);
    DO(occlude_network_load("builtin", &network));
    CHECK(occlude_features_count(network) == WIDTH);
    /* Each picture in three ways, as if they were three photographs. */
    for (int i = 0; i < PHOTOGRAPHS; i++) {
        occlude_image_free(image);
        DO(occlude_image_open(argv[1 + i % 2], i / 2, &image));
        DO(occlude_features(network, image, features + i * WIDTH, WIDTH));
    }
    print("features", features, PHOTOGRAPHS * WIDTH);
    refusals(network, image, features, targets);
    learn(network, image, features, 1, targets, 0.01);
    learn(network, image, features, 1, targets, 0);
    learn(network, image, features, 3, of_pairs, 0.5);
    occlude_image_free(image);
    occlude_network_free(network);
    return 0;
}
