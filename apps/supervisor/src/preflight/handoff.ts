import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Config, ConfigError, type NameOf } from "@shardcast/config";
import { closeDescriptor, DescriptorChannel } from "@shardcast/native";

export interface ModeChoice {
	readonly mode: "handoff" | "proxy";
	/** The reason, for the banner. */
	readonly why: string;
}

/**
 * Chooses the mode by `--lb-mode`. Tests handoff by doing it, since some sandboxes and container runtimes refuse to pass descriptors.
 * @throws ConfigError when handoff is required but impossible.
 */
export function chooseMode(
	config: Pick<Config, "lbMode" | "clusterDirectory" | "remoteShards">,
	name: NameOf,
	probe = handoffProblem,
): ModeChoice {
	if (config.lbMode === "proxy") return { mode: "proxy", why: `set by ${name("lbMode")}` };
	if (config.remoteShards.length > 0) return { mode: "proxy", why: `for the shards of other machines (${name("remoteShards")})` };
	const problem = probe(config.clusterDirectory);
	if (problem === null) return { mode: "handoff", why: "connections are passed to the shards, no byte goes through the balancer" };
	if (config.lbMode === "auto") return { mode: "proxy", why: `descriptors can't be passed here: ${problem}` };
	throw new ConfigError([`${name("lbMode")}: handoff is not possible here (${problem}); use proxy or auto`]);
}

/**
 * For processes that get clients in no other way.
 * @throws ConfigError when handoff is impossible.
 */
export function onlyHandoff(config: Pick<Config, "clusterDirectory">, name: NameOf, probe = handoffProblem): ModeChoice {
	const problem = probe(config.clusterDirectory);
	if (problem === null) return { mode: "handoff", why: "connections are passed to the processes, no byte goes through the balancer" };
	throw new ConfigError([`${name("shards")}: connections can't be passed from process to process here (${problem}); leave it out`]);
}

/** Passes a descriptor to this process itself. Returns null if that works. */
function handoffProblem(base: string): string | null {
	let folder: string | null = null;
	try {
		folder = mkdtempSync(join(base, "shardcast-probe-"));
		const path = join(folder, "handoff.sock");
		const receiver = DescriptorChannel.bind(path);
		const sender = DescriptorChannel.connect(path);
		try {
			if (!sender.send([process.stderr.fd])) return "a first descriptor was refused";
			const received = receiver.receive();
			received.forEach(closeDescriptor);
			return received.length === 1 ? null : "a descriptor got lost";
		} finally {
			sender.close();
			receiver.close();
		}
	} catch (error) {
		return (error as Error).message;
	} finally {
		if (folder !== null) rmSync(folder, { recursive: true, force: true });
	}
}
