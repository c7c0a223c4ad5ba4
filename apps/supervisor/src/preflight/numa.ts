import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, type NameOf } from "@shardcast/config";
import { formatCpuList, parseCpuList } from "@shardcast/process";

/**
 * CPUs of a NUMA node. `root` replaces "/" in tests.
 * @throws ConfigError when the node does not exist.
 */
export function cpusOfNode(node: number, name: NameOf, root = "/"): number[] {
	const folder = join(root, "sys/devices/system/node");
	try {
		return parseCpuList(readFileSync(join(folder, `node${node}`, "cpulist"), "utf8"));
	} catch {
		throw new ConfigError([`${name("numa")}: node ${node} does not exist; this machine has ${nodes(folder)}`]);
	}
}

function nodes(folder: string): string {
	try {
		const numbers = readdirSync(folder).flatMap((name) => /^node(\d+)$/.exec(name)?.[1] ?? []);
		return `node ${formatCpuList(numbers.map(Number).sort((a, b) => a - b))}`;
	} catch {
		return "no NUMA nodes, leave the option out";
	}
}
