import { ChildProcess, fork } from "node:child_process";

/** How a child is tied to CPUs and memory. */
export type Pinning =
	| { readonly kind: "none" }
	| { readonly kind: "taskset"; readonly core: number }
	| { readonly kind: "numactl"; readonly core: number | null; readonly node: number };

/**
 * Forks `entry` with IPC, pinned before its first instruction so that all its memory is touched first on its own core. taskset and
 * numactl replace themselves by node, so the child's pid is that of the fork.
 *
 * SHARDCAST_SINGLE, left over in someone's environment, would turn a shard into a single server.
 * @param inherited open descriptors that the child gets: see `inheritedDescriptors`.
 * The child gets a separate process group: Ctrl-C in a terminal then reaches the supervisor only, which orders the stop.
 */
export function launch(entry: string, pinning: Pinning, inherited: readonly number[] = []): ChildProcess {
	const [execPath, ...execArgv] = [...pinCommand(pinning), process.execPath, ...inheritedExecArgv()];
	const env = process.env;
	try {
		return fork(entry, [], { env, execPath, execArgv, stdio: [...ownStdio, ...inherited], detached: true });
	} catch (error) {
		return failed(error);
	}
}

/**
 * Node tells most reasons for which there is no new process by the event "error", but throws for some, such as ENOMEM. Here all are
 * reported the same way, since a restart that fails must not end the supervisor.
 */
function failed(error: unknown): ChildProcess {
	const child = new ChildProcess();
	process.nextTick(() => child.emit("error", error));
	return child;
}

const ownStdio = ["ignore", "inherit", "inherit", "ipc"] as const;

/** The descriptors that `count` inherited ones have in the child, in their order. */
export function inheritedDescriptors(count: number): number[] {
	return Array.from({ length: count }, (_, index) => ownStdio.length + index);
}

function pinCommand(pinning: Pinning): string[] {
	switch (pinning.kind) {
		case "none":
			return [];
		case "taskset":
			return ["taskset", "-c", String(pinning.core)];
		case "numactl": {
			const cpus = pinning.core === null ? `--cpunodebind=${pinning.node}` : `--physcpubind=${pinning.core}`;
			return ["numactl", `--membind=${pinning.node}`, cpus];
		}
		default:
			return pinning satisfies never;
	}
}

/** What the supervisor's node was told, such as heap sizes; a debugger's port can't be shared. */
function inheritedExecArgv(): string[] {
	return process.execArgv.filter((argument) => !argument.startsWith("--inspect"));
}
