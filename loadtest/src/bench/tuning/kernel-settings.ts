import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isInOwnNamespace } from "./namespace.ts";

/** Name → value as `sysctl` writes them: `{ "net.core.somaxconn": "128" }`. */
export type KernelSettings = Readonly<Record<string, string>>;

const machine = "/proc/sys";

/**
 * Changes settings of the kernel while `work` runs and puts the former ones back, in reverse order, whether it succeeds or
 * throws. Only in a network namespace of one's own, which takes them with it however the process ends.
 */
export async function withSettings<T>(settings: KernelSettings, work: () => Promise<T>, root = machine): Promise<T> {
	if (root === machine && !isInOwnNamespace()) throw new Error("settings are changed in a network namespace of one's own only");
	const former: [path: string, value: string][] = [];
	try {
		for (const [name, value] of Object.entries(settings)) {
			const path = join(root, name.replaceAll(".", "/"));
			former.push([path, readFileSync(path, "latin1").trim()]);
			writeFileSync(path, value);
			const now = readFileSync(path, "latin1").trim();
			// The kernel takes some values only in part, without a word.
			if (words(now) !== words(value)) throw new Error(`${name} is ${now} after it was set to ${value}`);
		}
		return await work();
	} finally {
		for (const [path, value] of former.reverse()) writeFileSync(path, value);
	}
}

const words = (value: string): string => value.trim().split(/\s+/).join(" ");
