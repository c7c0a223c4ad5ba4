import { connectionsPerShard, type LoadedConfig, optionNames } from "@shardcast/config";
import { nativeSupport } from "@shardcast/native";
import { availableCpus } from "@shardcast/process";
import { chooseMode } from "../preflight/handoff.ts";
import { cpusOfNode } from "../preflight/numa.ts";
import { planTopology } from "../topology.ts";
import { clockFinding } from "./checks/clock.ts";
import { cpuFindings } from "./checks/cpus.ts";
import { kernelFindings } from "./checks/kernel.ts";
import { memoryFindings } from "./checks/memory.ts";
import { optionFindings } from "./checks/options.ts";
import { portFindings } from "./checks/ports.ts";
import { programFindings } from "./checks/programs.ts";
import { serviceFindings } from "./checks/services.ts";
import { areas, type Finding, ok, type Subject, unlessRefused, warning } from "./finding.ts";
import type { Machine } from "./machine.ts";

const plan: Subject = { id: "topology", area: "CPUs", why: "shards are pinned to the CPUs that these options name" };
const passing: Subject = {
	id: "handoff",
	area: "programs",
	why: "with handoff, no byte of a client goes through the balancer; a proxy costs 60 to 70 % more CPU",
};

/** Examines a machine for a cluster with these options. Changes nothing. Findings are in the order of `areas`. */
export async function examine(loaded: LoadedConfig, machine: Machine): Promise<Finding[]> {
	const { config, layers } = loaded;
	const name = optionNames(layers);
	const findings: Finding[] = [];
	let shards = Math.max(1, config.shards);
	findings.push(
		...(await unlessRefused(
			plan,
			() => planTopology(config, availableCpus(machine.root), config.numa >= 0 ? cpusOfNode(config.numa, name, machine.root) : null, name),
			(topology) => {
				shards = topology.shards.length;
				return cpuFindings(machine, topology);
			},
		)),
	);
	let mode: "handoff" | "proxy" = "handoff";
	if (nativeSupport().available)
		findings.push(
			...(await unlessRefused(
				passing,
				() => chooseMode(config, name),
				(choice) => {
					mode = choice.mode;
					if (mode === "handoff") return [ok(passing, "descriptors can be passed")];
					return [
						warning(
							passing,
							`proxy mode: ${choice.why}`,
							"allow SCM_RIGHTS on Unix sockets in the sandbox or seccomp profile, or leave --lb-mode at auto",
						),
					];
				},
			)),
		);
	const wanted = { connections: config.maxConnections, connectionsPerShard: connectionsPerShard(config, shards), mode };
	const sized = { ...config, shards };
	findings.push(
		...(await programFindings(machine, wanted)),
		...memoryFindings(machine, sized, shards, name),
		...kernelFindings(machine, sized, mode),
		clockFinding(machine),
		...(await portFindings(sized, shards, layers, name)),
		...(await optionFindings(loaded, name)),
		...(await serviceFindings(config, machine)),
	);
	return findings.sort((a, b) => areas.indexOf(a.area) - areas.indexOf(b.area));
}
