import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accepts } from "../network/accepts.ts";
import { endChild } from "../processes/end-child.ts";
import { startGuard } from "../processes/managed-process.ts";
import { waitFor } from "../wait.ts";

/**
 * Whether HAProxy is installed. Without it a suite is skipped, with a line that says so: call it at the top of one,
 * `describe.skipIf(!haproxyForTests())`.
 */
export function haproxyForTests(): boolean {
	const found = spawnSync("haproxy", ["-v"]).status === 0;
	if (!found) console.warn("skipped: no haproxy; install Debian's package haproxy");
	return found;
}

/** A route through HAProxy, from `port` on 127.0.0.1 to the port `to` there. */
interface HaproxyRoute {
	readonly port: number;
	readonly to: number;
	/** Further words of its `bind` line. */
	readonly bind?: string;
	/** How its connections begin, such as "send-proxy-v2"; further words of HAProxy's `server` line. */
	readonly server: string;
	/** Further lines of the section. */
	readonly lines?: readonly string[];
}

/** A running HAProxy; `stop` must be called. */
export class Haproxy {
	readonly #child: ChildProcess;
	readonly #folder: string;
	/** Ends it when this process ends without `stop`. */
	readonly #guard: ChildProcess;

	private constructor(child: ChildProcess, folder: string) {
		this.#child = child;
		this.#folder = folder;
		this.#guard = startGuard(child.pid!);
	}

	static async start(routes: readonly HaproxyRoute[]): Promise<Haproxy> {
		const sections = routes.map(({ port, to, server, bind = "", lines = ["mode tcp"] }, index) =>
			[`listen route${index}`, `bind 127.0.0.1:${port} ${bind}`, ...lines, `server one 127.0.0.1:${to} ${server}`].join("\n\t"),
		);
		const times = "defaults\n\ttimeout connect 5s\n\ttimeout client 60s\n\ttimeout server 60s\n\ttimeout tunnel 60s\n";
		return Haproxy.run(
			`${times}${sections.join("\n")}\n`,
			routes.map(({ port }) => port),
		);
	}

	/** With a whole configuration. @param ports on which it listens then. */
	static async run(config: string, ports: readonly number[]): Promise<Haproxy> {
		const folder = mkdtempSync(join(tmpdir(), "haproxy-"));
		const file = join(folder, "haproxy.cfg");
		writeFileSync(file, config);
		const child = spawn("haproxy", ["-db", "-q", "-f", file], { stdio: ["ignore", "inherit", "inherit"] });
		const haproxy = new Haproxy(child, folder);
		try {
			for (const port of ports) await waitFor(() => accepts(port), { deadlineMs: 10_000, what: `HAProxy on port ${port}` });
		} catch (error) {
			await haproxy.stop();
			throw error;
		}
		return haproxy;
	}

	get pid(): number {
		return this.#child.pid!;
	}

	async stop(): Promise<void> {
		await endChild(this.#child, "SIGKILL");
		this.#guard.kill("SIGKILL");
		rmSync(this.#folder, { recursive: true, force: true });
	}
}
