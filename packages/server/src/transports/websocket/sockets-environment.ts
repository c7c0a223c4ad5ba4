/**
 * uWebSockets.js reads this variable when it is loaded. Its default of 4 KiB is less than `--head-max`, which the balancer enforces, can be. This is
 * the maximum of `--head-max`. Import this file before the library.
 */
process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= "65536";
