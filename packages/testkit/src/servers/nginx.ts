import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accepts } from "../network/accepts.ts";
import { endChild } from "../processes/end-child.ts";
import { waitFor } from "../wait.ts";

const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so";

/**
 * Whether nginx and its stream module are installed. Without them a suite is skipped, with a line that says so: call it at the top of one,
 * `describe.skipIf(!nginxForTests())`.
 */
export function nginxForTests(): boolean {
	const found = spawnSync("nginx", ["-v"]).status === 0 && existsSync(streamModule);
	if (!found) console.warn("skipped: no nginx; install Debian's packages nginx and libnginx-mod-stream");
	return found;
}

/** A running nginx; `stop` must be called. */
export class Nginx {
	readonly #child: ChildProcess;
	readonly #folder: string;

	private constructor(child: ChildProcess, folder: string) {
		this.#child = child;
		this.#folder = folder;
	}

	/** @param config a whole configuration. @param ports on which it listens then. */
	static async run(config: string, ports: readonly number[]): Promise<Nginx> {
		const folder = mkdtempSync(join(tmpdir(), "nginx-"));
		const file = join(folder, "nginx.conf");
		writeFileSync(file, config);
		const globals = `daemon off; pid ${join(folder, "pid")}; error_log stderr error;`;
		const child = spawn("nginx", ["-e", "stderr", "-c", file, "-g", globals], { stdio: ["ignore", "inherit", "inherit"] });
		const nginx = new Nginx(child, folder);
		try {
			for (const port of ports) await waitFor(() => accepts(port), { deadlineMs: 10_000, what: `nginx on port ${port}` });
		} catch (error) {
			await nginx.stop();
			throw error;
		}
		return nginx;
	}

	/** SIGTERM, since its workers outlive a master that is killed. */
	async stop(): Promise<void> {
		await endChild(this.#child, "SIGTERM");
		rmSync(this.#folder, { recursive: true, force: true });
	}
}
