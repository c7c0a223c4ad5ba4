import { execFileSync, spawn } from "node:child_process";
import { readlinkSync } from "node:fs";

/** In the environment of a program that was put into a namespace of its own: which one its parent is in. */
const parentVariable = "BENCH_PARENT_NETWORK";

function ownNamespace(): string {
	return readlinkSync("/proc/self/ns/net");
}

/** Whether this process is in a network namespace that was made for it: only there may it change settings of the kernel. */
export function isInOwnNamespace(): boolean {
	const parent = process.env[parentVariable];
	return parent !== undefined && parent !== ownNamespace();
}

/**
 * Runs a Node program in a network namespace of its own, with nothing but a loopback interface. What it sets there is set for
 * nobody else and gone with its last process, however that ends; so there is nothing to put back on the machine.
 * @returns its exit status. @throws when namespaces can't be made here (no root, no util-linux, a container).
 */
export function runInNamespace(args: readonly string[]): Promise<number> {
	const child = spawn("unshare", ["--net", "sh", "-c", 'ip link set lo up && exec "$0" "$@"', process.execPath, ...args], {
		env: { ...process.env, [parentVariable]: ownNamespace() },
		stdio: "inherit",
	});
	return new Promise((resolve, reject) => {
		child.once("error", (error) => reject(new Error(`unshare: ${error.message}; install util-linux`)));
		child.once("exit", (code) => resolve(code ?? 1));
	});
}

/** Sets the largest packet of the loopback interface: 1500 makes the kernel measure its buffers as it does for an Ethernet. */
export function setLoopbackMtu(bytes: number): void {
	if (!isInOwnNamespace()) throw new Error("the loopback interface is changed in a network namespace of one's own only");
	execFileSync("ip", ["link", "set", "lo", "mtu", String(bytes)]);
}
