import {
	type Certificate,
	type Config,
	ConfigError,
	checkRoute,
	connectionsPerShard,
	type LoadedConfig,
	loadCertificates,
	type NameOf,
	optionNames,
} from "@shardcast/config";
import type { Workers } from "@shardcast/control";
import { nativeSupport } from "@shardcast/native";
import { availableCpus, StartupError } from "@shardcast/process";
import type { Pinning } from "../children/launch.ts";
import { planTopology, type Topology } from "../topology.ts";
import { chooseMode, type ModeChoice, onlyHandoff } from "./handoff.ts";
import { loadLibraryProblem } from "./library.ts";
import { cpusOfNode } from "./numa.ts";
import { openFilesWarnings } from "./open-files.ts";
import { listenPlaces, portProblems } from "./ports.ts";
import { hasProgram } from "./programs.ts";
import { firstShardPort } from "./shard-ports.ts";
import { sharedMemoryProblem, sharedMemoryWarnings } from "./shared-memory.ts";

/** The plan of a cluster on this machine. */
export interface Plan {
	/** The options, with the values that depend on the machine: the number of shards and their first port. */
	readonly config: Config;
	readonly certificates: readonly Certificate[];
	readonly topology: Topology;
	readonly mode: ModeChoice;
	readonly pin: (core: number | null) => Pinning;
	/** Problems that do not prevent a start, one line each. */
	readonly warnings: readonly string[];
}

/**
 * Checks the machine before anything is started, so that a wrong option gives one line and not a half-started cluster.
 * @throws ConfigError or StartupError with one line per problem.
 */
export async function preflight({ config, layers, warnings }: LoadedConfig, workers: Workers = "shard"): Promise<Plan> {
	const support = nativeSupport();
	if (!support.available) {
		const fix = workers === "shard" ? "run `shardcast single`, which needs none" : "leave --shards out, since one process needs none";
		throw new StartupError(`several processes need shared memory, which is not available here: ${support.reason}; ${fix}`, {
			exitStatus: 2,
		});
	}
	const name = optionNames(layers);
	const { certificates, warnings: tlsWarnings } = loadCertificates(config, name);
	await checkRoute(config, name);
	const topology = planTopology(config, availableCpus(), config.numa >= 0 ? cpusOfNode(config.numa, name) : null, name);
	const pinner = choosePinner(config.numa, name);
	const shards = topology.shards.length;

	const sharedMemory = sharedMemoryProblem(config, shards, name, { hasHistory: workers === "shard" });
	if (sharedMemory !== null) throw new ConfigError([sharedMemory]);

	const basePort = workers === "shard" ? firstShardPort(config, shards, layers.basePort.kind !== "default", name) : config.basePort;
	// Processes of a gateway have no ports.
	const mistakes = await portProblems(listenPlaces(config, basePort, workers === "shard" ? shards : 0, name));
	if (mistakes.length > 0) {
		// Otherwise a shard would report it only after these are fixed.
		const library = await loadLibraryProblem();
		throw new ConfigError(library === null ? mistakes : [library, ...mistakes]);
	}

	const mode = workers === "shard" ? chooseMode(config, name) : onlyHandoff(config, name);
	if (mode.mode === "proxy" && certificates.length > 0)
		throw new ConfigError([`${name("lbMode")}: TLS does not work in proxy mode (${mode.why}); use handoff`]);
	const files = { connections: config.maxConnections, connectionsPerShard: connectionsPerShard(config, shards), mode: mode.mode, workers };
	return {
		config: Object.freeze({ ...config, shards, basePort }),
		certificates,
		topology,
		mode,
		pin: pinner.pin,
		warnings: [...warnings, ...tlsWarnings, ...sharedMemoryWarnings(config, name), ...pinner.warnings, ...openFilesWarnings(files)],
	};
}

/** @throws ConfigError when `--numa` is not possible. */
function choosePinner(node: number, name: NameOf): Pick<Plan, "pin" | "warnings"> {
	if (node >= 0) {
		if (!hasProgram("numactl")) throw new ConfigError([`${name("numa")}: numactl is not installed; install it or leave the option out`]);
		return { pin: (core) => ({ kind: "numactl", core, node }), warnings: [] };
	}
	if (hasProgram("taskset")) return { pin: (core) => (core === null ? { kind: "none" } : { kind: "taskset", core }), warnings: [] };
	return { pin: () => ({ kind: "none" }), warnings: ["taskset is not installed, so processes are not pinned to CPUs; install util-linux"] };
}
