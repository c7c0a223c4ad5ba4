import { ChildProcess, fork } from "node:child_process";

/** How a child is tied to CPUs and memory. */
export type Pinning =
	| { readonly kind: "none" }
	| { readonly kind: "taskset"; readonly core: number }
	| { readonly kind: "numactl"; readonly core: number | null; readonly node: number };

/**
 * Forks `entry` with IPC, pinned before its first instruction, so that its core is the first to touch its memory. taskset and numactl exec
 * node, so the child keeps the pid of the fork.
 *
 * The child gets a separate process group, so that Ctrl-C in a terminal reaches only the supervisor, which stops all processes in order.
 * @param inherited open descriptors for the child: see `inheritedDescriptors`.
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
 * A child process that emits `error`. Node reports most failures to start a process with that event, but throws for some, such as ENOMEM. All
 * must be reported the same way, since a failed restart must not end the supervisor.
 */
function failed(error: unknown): ChildProcess {
	const child = new ChildProcess();
	process.nextTick(() => child.emit("error", error));
	return child;
}

const ownStdio = ["ignore", "inherit", "inherit", "ipc"] as const;

/** The numbers of `count` inherited descriptors in the child, in order. */
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

/** The supervisor's Node flags, such as heap sizes, without those of a debugger, whose port cannot be shared. */
function inheritedExecArgv(): string[] {
	return process.execArgv.filter((argument) => !argument.startsWith("--inspect"));
}
