import { existsSync, readFileSync, rmSync } from "node:fs";
import { waitFor } from "@shardcast/testkit";

interface ProfileNode {
	readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
	readonly selfSize: number;
	readonly children: readonly ProfileNode[];
}

/** What V8 calls native code that allocates. */
const nativeCode = "(V8 API)";
/** The second when V8 has compiled the first into its caller. */
const viewMakers = ["fromArrayBuffer", "Uint8Array"];

/** For people. */
export const legend = [
	`by native code: ${nativeCode}. From clients, it is the ArrayBuffer that uWebSockets.js makes of each message.`,
	`views: ${viewMakers.join(" or ")}. Without a view, JavaScript cannot read an ArrayBuffer.`,
	"Functions without a file are those of V8.",
].join("\n");

/** Bytes, as the profiler estimates them. */
export interface Allocated {
	readonly all: number;
	/** By native code that shardcast has not called. Of what clients send: the ArrayBuffer that uWebSockets.js makes of each message. */
	readonly native: number;
	/** The views of these: without one, JavaScript cannot read an ArrayBuffer. */
	readonly views: number;
	/** The rest of what functions of shardcast allocate, with V8's that they call. What Node.js allocates for them, mostly per write, is not in it. */
	readonly shardcast: number;
	/** The functions with the most, as "name file:line"; those of V8 have no file. */
	readonly sites: readonly { readonly name: string; readonly bytes: number }[];
}

/** What a process with `heap-probe` in it allocates while `work` runs. @param file that HEAP_PROBE_FILE names in it. */
export async function allocatedDuring(pid: number, file: string, work: () => Promise<void>): Promise<Allocated> {
	rmSync(file, { force: true });
	process.kill(pid, "SIGUSR2");
	await waitFor(() => existsSync(file), { what: "the profiler samples", deadlineMs: 20_000 });
	await work();
	process.kill(pid, "SIGUSR2");
	const profile = await waitFor(() => tryParse(readFileSync(file, "utf8")), { what: "the profile", deadlineMs: 20_000 });
	return sum(profile.profile.head);
}

function tryParse(text: string): { readonly profile: { readonly head: ProfileNode } } | null {
	try {
		return JSON.parse(text);
	} catch {
		// It is not written to its end.
		return null;
	}
}

function sum(head: ProfileNode): Allocated {
	const sites = new Map<string, number>();
	const sums = { all: 0, native: 0, views: 0, shardcast: 0 };
	const visit = ({ callFrame, selfSize, children }: ProfileNode, isCalledByShardcast: boolean): void => {
		const { functionName, url, lineNumber } = callFrame;
		const isOwn = /\/(packages|apps)\//.test(url) && !url.includes("/node_modules/");
		const isShardcast = isOwn || (isCalledByShardcast && !url.startsWith("node:"));
		sums.all += selfSize;
		if (isShardcast) sums[viewMakers.includes(functionName) ? "views" : "shardcast"] += selfSize;
		else if (functionName === nativeCode) sums.native += selfSize;
		const file = url === "" ? "" : ` ${url.replace(/^.*\/(?=packages\/|node_modules\/)/, "")}:${lineNumber + 1}`;
		const name = `${functionName || "(anonymous)"}${file}`;
		if (selfSize > 0) sites.set(name, (sites.get(name) ?? 0) + selfSize);
		for (const child of children) visit(child, isShardcast);
	};
	visit(head, false);
	return { ...sums, sites: [...sites].map(([name, bytes]) => ({ name, bytes })).sort((one, other) => other.bytes - one.bytes) };
}
