import { readFileSync } from "node:fs";

const portsDefault = 28_232;

/** Ports that the kernel has for connections from one address to one server. */
export function portsOfOneAddress(): number {
	try {
		const [low, high] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").trim().split(/\s+/).map(Number);
		return high - low + 1;
	} catch {
		return portsDefault; // no Linux: only the limit of Linux is known
	}
}
