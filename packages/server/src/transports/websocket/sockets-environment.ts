/**
 * uWebSockets.js reads this when it is loaded, and allows 4 KiB without it: less than `--head-max` may be, which the balancer
 * keeps. This is the most that can be set there. Must be imported before the library.
 */
process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= "65536";
