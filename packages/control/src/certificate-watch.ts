import { statSync } from "node:fs";
import { type Certificate, ConfigError, expiryWarning, loadCertificates, type NameOf, type TlsConfig, usesTls } from "@shardcast/config";
import type { Log } from "@shardcast/telemetry";
import type { ClusterEvent } from "./event-log.ts";

export interface CertificateWatchParts {
	/** Looked up at each use. */
	readonly config: () => TlsConfig;
	/** Those in force at the start. */
	readonly certificates: readonly Certificate[];
	readonly reloads: CertificateReloads;
	/** Names an option in messages. */
	readonly name: NameOf;
	/** Brings them into force for new connections. */
	readonly apply: (certificates: readonly Certificate[]) => void;
	readonly log: Pick<Log, "info" | "warn" | "error">;
	/** Keeps it for the console. */
	readonly tell: (level: ClusterEvent["level"], text: string) => void;
}

/** How an attempt to take new certificates ends. */
export interface CertificateReloads {
	applied: number;
	rejected: number;
}

export const noCertificateReloads = (): CertificateReloads => ({ applied: 0, rejected: 0 });

const lookEveryMs = 1000;
const warnEveryMs = 86_400_000;

/**
 * The certificates in force. Looks at their files once a second, and takes what has changed once it has stayed the same for a second, so that
 * a half-written file is left alone. What cannot be used is refused, and the old ones stay. One for each server, on its main thread.
 */
export class CertificateWatch {
	readonly #parts: CertificateWatchParts;
	#certificates: readonly Certificate[];
	/** How the files were when they were read last, taken or refused; null = not known. */
	#seen: string | null = null;
	/** How they were at the last look, if that was different. */
	#changed: string | null = null;
	#timer: NodeJS.Timeout | null = null;
	#warnedMs = Date.now();

	constructor(parts: CertificateWatchParts) {
		this.#parts = parts;
		this.#certificates = parts.certificates;
	}

	/** Begins to look; nothing without TLS. */
	start(): void {
		if (this.#certificates.length === 0) return;
		this.#timer = setInterval(() => this.look(), lookEveryMs);
		this.#timer.unref();
	}

	stop(): void {
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#timer = null;
	}

	/** Takes what has changed. */
	look(): void {
		this.#warnOfTheEnd();
		const state = this.#state();
		// Whether they have changed since they were read for the start only reading them can tell.
		if (state === this.#seen) this.#changed = null;
		else if (state !== this.#changed) this.#changed = state;
		else this.reload();
	}

	/**
	 * For new option values that are about to be applied.
	 * @returns what brings their certificates into force. @throws ConfigError when there are some that cannot be used.
	 */
	prepare(config: TlsConfig): () => void {
		const { name } = this.#parts;
		const isOn = this.#certificates.length > 0;
		if (usesTls(config) !== isOn) throw new ConfigError([`${name("tlsCert")}: TLS is ${isOn ? "on" : "off"}; only a restart changes that`]);
		if (!isOn) return () => {};
		const { certificates, warnings } = loadCertificates(config, name);
		return () => this.#use(certificates, warnings);
	}

	/** Reads the files now: SIGHUP. */
	reload(): void {
		const { config, name, log, tell } = this.#parts;
		if (this.#certificates.length === 0) return;
		this.#seen = this.#state();
		this.#changed = null;
		try {
			const { certificates, warnings } = loadCertificates(config(), name);
			this.#use(certificates, warnings);
		} catch (error) {
			if (!(error instanceof ConfigError)) throw error;
			this.#parts.reloads.rejected++;
			const text = `TLS certificates not reloaded, the old ones stay: ${error.lines.join("; ")}`;
			log.error(text);
			tell("bad", text);
		}
	}

	#use(certificates: readonly Certificate[], warnings: readonly string[]): void {
		const { apply, log, tell } = this.#parts;
		if (sameCertificates(certificates, this.#certificates)) return;
		apply(certificates);
		this.#certificates = certificates;
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

	/** Of all files together. */
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
