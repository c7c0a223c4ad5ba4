import { join } from "node:path";
import { nativeSupport } from "@shardcast/native";
import { openFilesLimit } from "@shardcast/process";
import { nodeVersionProblem } from "../../node-version.ts";
import { loadLibraryProblem } from "../../preflight/library.ts";
import { type FilesWanted, openFilesWarnings } from "../../preflight/open-files.ts";
import { hasProgram } from "../../preflight/programs.ts";
import { type Finding, fromLine, ok, problem, type Subject, warning } from "../finding.ts";
import type { Machine } from "../machine.ts";

const node: Subject = { id: "node", area: "programs", why: "other versions of Node are not tested, or get no more fixes" };
const library: Subject = {
	id: "websocket-library",
	area: "programs",
	why: "each shard needs uWebSockets.js, whose binary must fit Node and the C library",
};
const native: Subject = {
	id: "native",
	area: "programs",
	why: "several processes need shared memory, which Node reaches only through native code",
};
const pin: Subject = {
	id: "taskset",
	area: "programs",
	why: "it pins each shard to a CPU; without it, shards run where the kernel puts them",
};
const files: Subject = {
	id: "open-files",
	area: "programs",
	why: "each connection takes a descriptor; clients for whom there is none get 503",
};

/** Versions before this one get no more fixes. */
const supportedMajor = 22;

export async function programFindings(machine: Machine, wanted: FilesWanted): Promise<Finding[]> {
	return [version(machine.nodeVersion), ...(await binaries()), pinner(machine), ...openFiles(machine, wanted)];
}

function version(text: string): Finding {
	const line = nodeVersionProblem(text);
	if (line !== null) return fromLine(node, "problem", line);
	if (Number(text.split(".")[0]) >= supportedMajor) return ok(node, `Node ${text}`);
	return warning(node, `Node ${text} is end-of-life`, "install Node 22, or npx -y -p node@22 npm start");
}

async function binaries(): Promise<Finding[]> {
	const support = nativeSupport();
	const line = await loadLibraryProblem();
	return [
		support.available
			? ok(native, "native code works")
			: problem(native, support.reason, "use Linux on x64 or arm64, or run `shardcast single`"),
		line === null ? ok(library, "the WebSocket library loads") : fromLine(library, "problem", line),
	];
}

function pinner({ path }: Machine): Finding {
	return hasProgram("taskset", path) ? ok(pin, "taskset is installed") : warning(pin, "taskset is not installed", "install util-linux");
}

function openFiles({ root }: Machine, wanted: FilesWanted): Finding[] {
	const limits = join(root, "proc/self/limits");
	const lines = openFilesWarnings(wanted, limits);
	if (lines.length === 0) return [ok(files, `a process may open ${openFilesLimit(limits)?.hard ?? "any number of"} files`)];
	return lines.map((line) => fromLine(files, "warning", line));
}
