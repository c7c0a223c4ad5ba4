import { statSync } from "node:fs";
import { type Certificate, ConfigError, expiryWarning, loadCertificates, type NameOf, type TlsConfig, usesTls } from "@shardcast/config";
import type { Log } from "@shardcast/telemetry";
import type { ClusterEvent } from "./event-log.ts";

export interface CertificateWatchParts {
	/** Called at each use. */
	readonly config: () => TlsConfig;
	/** The certificates at the start. */
	readonly certificates: readonly Certificate[];
	readonly reloads: CertificateReloads;
	/** Returns an option's name for messages. */
	readonly name: NameOf;
	/** Applies them to new connections. When it throws or rejects, the old ones must be in use. */
	readonly apply: (certificates: readonly Certificate[]) => void | Promise<void>;
	readonly log: Pick<Log, "info" | "warn" | "error">;
	/** Adds an event to the console. */
	readonly tell: (level: ClusterEvent["level"], text: string) => void;
	/** Monotonic. */
	readonly nowMs?: () => number;
}

/** Outcomes of a reload of certificates. */
export interface CertificateReloads {
	applied: number;
	rejected: number;
}

export const noCertificateReloads = (): CertificateReloads => ({ applied: 0, rejected: 0 });

const lookEveryMs = 1000;
/** Rejected certificates are tried again, though their files have not changed: a process may only have been too busy to answer. */
const retryMsMin = 60_000;
const retryMsMax = 3_600_000;
const warnEveryMs = 86_400_000;

/**
 * Watches the certificate files. It checks them once a second, and loads changed files when they have stayed the same for a second, so that half-written
 * files are not read. If new ones cannot be used, the old ones stay in use, and the new ones are tried again after a minute, later after an hour. One per
 * server, on its main thread.
 */
export class CertificateWatch {
	readonly #parts: CertificateWatchParts;
	readonly #now: () => number;
	#certificates: readonly Certificate[];
	/** Those that are being applied; null = none. */
	#pending: readonly Certificate[] | null = null;
	/** State of the files when they were last read, whether accepted or refused; null = unknown. */
	#seen: string | null = null;
	/** State of the files at the last check, if that was different. */
	#changed: string | null = null;
	/** When rejected certificates are tried again; Infinity = there are none. */
	#retryAtMs = Number.POSITIVE_INFINITY;
	#retryMs = retryMsMin;
	#timer: NodeJS.Timeout | null = null;
	#warnedMs = Date.now();

	constructor(parts: CertificateWatchParts) {
		this.#parts = parts;
		this.#now = parts.nowMs ?? (() => performance.now());
		this.#certificates = parts.certificates;
	}

	/** Starts watching. Does nothing without TLS. */
	start(): void {
		if (this.#certificates.length === 0) return;
		this.#timer = setInterval(() => this.look(), lookEveryMs);
		this.#timer.unref();
	}

	stop(): void {
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#timer = null;
	}

	/** Loads changed files, and those that were rejected some time ago. */
	look(): void {
		this.#warnOfTheEnd();
		const state = this.#state();
		// Only reading the files shows whether they have changed since the start.
		if (state === this.#seen) {
			this.#changed = null;
			if (this.#now() >= this.#retryAtMs) void this.reload();
		} else if (state !== this.#changed) this.#changed = state;
		else {
			this.#retryMs = retryMsMin;
			void this.reload();
		}
	}

	/**
	 * Prepares for new options.
	 * @returns a function that applies their certificates. @throws ConfigError when some cannot be used.
	 */
	prepare(config: TlsConfig): () => void {
		const { name } = this.#parts;
		const isOn = this.#certificates.length > 0;
		if (usesTls(config) !== isOn) throw new ConfigError([`${name("tlsCert")}: TLS is ${isOn ? "on" : "off"}; only a restart changes that`]);
		if (!isOn) return () => {};
		const { certificates, warnings } = loadCertificates(config, name);
		return () => void this.#use(certificates, warnings);
	}

	/** Reads the files now: SIGHUP. @returns why the old ones stay in use; null = they are those in the files, or there is no TLS. Never rejects. */
	async reload(): Promise<string | null> {
		const { config, name } = this.#parts;
		if (this.#certificates.length === 0) return null;
		this.#seen = this.#state();
		this.#changed = null;
		this.#retryAtMs = Number.POSITIVE_INFINITY;
		try {
			const { certificates, warnings } = loadCertificates(config(), name);
			return await this.#use(certificates, warnings);
		} catch (error) {
			// A serving process continues after any error.
			return this.#rejected(error);
		}
	}

	/** @returns what it says. */
	#rejected(error: unknown): string {
		const { log, tell } = this.#parts;
		this.#parts.reloads.rejected++;
		this.#retryAtMs = this.#now() + this.#retryMs;
		this.#retryMs = Math.min(2 * this.#retryMs, retryMsMax);
		const why = error instanceof ConfigError ? error.lines.join("; ") : (error as Error).message;
		const text = `TLS certificates not reloaded, the old ones stay: ${why}`;
		log.error(text);
		tell("bad", text);
		return text;
	}

	/** @returns why they are not used; null = they are. @throws what `apply` throws. */
	#use(certificates: readonly Certificate[], warnings: readonly string[]): null | Promise<string | null> {
		if (sameCertificates(certificates, this.#pending ?? this.#certificates)) return null;
		const applying = this.#parts.apply(certificates);
		if (!(applying instanceof Promise)) {
			this.#applied(certificates, warnings);
			return null;
		}
		this.#pending = certificates;
		return applying
			.then(
				() => {
					this.#applied(certificates, warnings);
					return null;
				},
				(error) => this.#rejected(error),
			)
			.finally(() => {
				if (this.#pending === certificates) this.#pending = null;
			});
	}

	#applied(certificates: readonly Certificate[], warnings: readonly string[]): void {
		const { log, tell } = this.#parts;
		this.#certificates = certificates;
		this.#retryMs = retryMsMin;
		this.#parts.reloads.applied++;
		for (const warning of warnings) log.warn(warning);
		const until = certificates.map(({ path, expiresMs }) => `${path}, which expires on ${new Date(expiresMs).toISOString().slice(0, 10)}`);
		const text = `TLS certificates reloaded: new connections get ${until.join("; ")}`;
		log.info(text);
		tell("info", text);
	}

	#warnOfTheEnd(): void {
		const nowMs = Date.now();
		if (nowMs - this.#warnedMs < warnEveryMs) return;
		this.#warnedMs = nowMs;
		for (const { path, expiresMs } of this.#certificates) {
			for (const text of expiryWarning(path, expiresMs, nowMs) ?? []) {
				this.#parts.log.warn(text);
				this.#parts.tell("warn", text);
			}
		}
	}

	/** State of all files together. */
	#state(): string {
		const config = this.#parts.config();
		if (!usesTls(config)) return "";
		const files = [config.tlsCert, config.tlsKey, ...config.tlsCertificates.flatMap(({ certFile, keyFile }) => [certFile, keyFile])];
		return files.map(fileState).join(" ");
	}
}

function fileState(path: string): string {
	if (path === "") return "";
	try {
		const { ino, size, mtimeMs, ctimeMs } = statSync(path);
		return `${ino}/${size}/${mtimeMs}/${ctimeMs}`;
	} catch (error) {
		return (error as NodeJS.ErrnoException).code ?? "?";
	}
}

function sameCertificates(one: readonly Certificate[], other: readonly Certificate[]): boolean {
	return one.length === other.length && one.every(({ fingerprint }, index) => fingerprint === other[index]!.fingerprint);
}
