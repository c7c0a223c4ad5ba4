import { networkInterfaces } from "node:os";

/** Whether this machine has an IPv6 loopback address. Containers often have none. */
export const hasIpv6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === "::1"));
