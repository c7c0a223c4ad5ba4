import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Certificate, Config } from "@shardcast/config";
import { ChildLink, type ChildReport, certificatesQuestion, type FromChild, type StartMessage, type ToChild } from "@shardcast/control";
import { type Scheduled, StartupError, scheduled } from "@shardcast/process";
import type { Log } from "@shardcast/telemetry";
import { monotonicMs } from "@shardcast/wire";
import { counted } from "../counted.ts";
import type { RestartPolicy } from "./restart-policy.ts";
import type { Watched } from "./watchdog.ts";

/** Properties and callbacks of a child, provided by the supervisor. */
export interface ChildSpec {
	/** "shard 0" or "balancer". */
	readonly name: string;
	/** Called at each use, since options may change. */
	timeouts(): Pick<Config, "readyTimeoutMs" | "heartbeatTimeoutMs">;
	readonly policy: RestartPolicy;
	/** Processes that had its place before. */
	readonly predecessors: number;
	launch(): ChildProcess;
	/** Called when the process exists, before the start message is sent. */
	prepare(incarnation: number, pid: number): StartMessage;
	/** `monotonicMs()` of its last heartbeat in the scoreboard. */
	lastBeatMs(): number;
	/** Its current connections by the scoreboard. Also called before `onDeath`. */
	connections(): number;
	/** The child serves. */
	onReady(port: number | undefined): void;
	/** The child does not respond, or responds again. */
	onSilent(silent: boolean): void;
	/** The child could not apply new options, and keeps the old ones. */
	onNotReloaded(problem: string): void;
	/** The process has ended and was reaped. @param isPlanned it is not restarted because of that: it was stopped, or is being replaced. */
	onDeath(isPlanned: boolean): void;
	/** Answers the child's question to all processes. */
	answer(question: string, request: unknown): Promise<unknown>;
	/** The child cannot be kept alive: the cluster must stop. */
	onFailure(error: StartupError): void;
}

export interface ChildDrained {
	/** Number of unfinished items: clients, publishes, messages. */
	readonly cutOff: number;
	readonly detail?: string;
	/** False when the process died or had to be killed: then the rest may be unfinished too. */
	readonly finished: boolean;
}

/** After a process has exited, its last messages may still be in the channel. */
const lastWordsMs = 500;

type State =
	| { readonly kind: "idle" }
	| { readonly kind: "starting"; readonly life: Life; readonly readyTimer: NodeJS.Timeout }
	| { readonly kind: "serving"; readonly life: Life; readonly readyMs: number }
	| { readonly kind: "waiting"; readonly restartTimer: NodeJS.Timeout }
	| { readonly kind: "leaving"; readonly life: Life }
	| { readonly kind: "gone" };

/** A process, from fork to exit. */
interface Life {
	readonly process: ChildProcess;
	readonly link: ChildLink;
	readonly exited: Promise<void>;
	fatal: Extract<FromChild, { type: "fatal" }> | null;
	drained: Omit<ChildDrained, "finished"> | null;
	/** Its connections when it was found dead. */
	connectionsLost: number;
	/** It hung and was sent SIGKILL. */
	killed: boolean;
	/** Why the process could not be started. */
	startError: Error | null;
	/** Its program has been loaded. */
	readonly loaded: Promise<void>;
	readonly onLoaded: () => void;
}

/** The outcome of `SupervisedChild.replace`. */
export interface Replaced {
	/** How the old process ended; null = there was none. */
	readonly drained: ChildDrained | null;
	/** Why the new process does not serve; null = it does. */
	readonly problem: string | null;
}

/** A planned start, whose failure is reported instead of followed by others. */
interface Attempt {
	readonly settle: (problem: string | null) => void;
}

/** Keeps a child alive: starts it, restarts it when it dies or hangs, and drains it at the end. Owned by the supervisor. */
export class SupervisedChild implements Watched {
	readonly #spec: ChildSpec;
	readonly #log: Log;
	#state: State = { kind: "idle" };
	#incarnation: number;
	#everReady = false;
	/** A process whose program is loaded, and that waits for its start message; null = none. */
	#warm: Life | null = null;
	/** Set while a planned start is in progress. */
	#attempt: Attempt | null = null;
	/** Of the process that drains. */
	#draining: Promise<ChildDrained> | null = null;
	#version: string | null = null;
	#isEnding = false;

	constructor(spec: ChildSpec, log: Log) {
		this.#spec = spec;
		this.#log = log;
		this.#incarnation = spec.predecessors;
	}

	get name(): string {
		return this.#spec.name;
	}

	get serving(): boolean {
		return this.#state.kind === "serving";
	}

	/** It has no process and gets none by itself: it was ended, or could not be replaced. */
	get isDown(): boolean {
		return this.#state.kind === "gone";
	}

	/** The version of the program that it runs; null = it never served. */
	get version(): string | null {
		return this.#version;
	}

	start(): void {
		this.#incarnation += 1;
		const warm = this.#warm;
		// It may have died since it was loaded.
		const life = warm !== null && runs(warm.process) ? warm : this.#fork();
		this.#warm = null;
		const { name } = this.#spec;
		const { readyTimeoutMs } = this.#spec.timeouts();
		const readyTimer = setTimeout(() => {
			this.#log.error({ childPid: life.process.pid }, `${name} did not become ready within ${readyTimeoutMs} ms; killing it`);
			life.process.kill("SIGKILL");
		}, readyTimeoutMs);
		this.#state = { kind: "starting", life, readyTimer };
		// Without a pid the fork failed, which the exit handler reports.
		if (life.process.pid !== undefined) life.link.send(this.#spec.prepare(this.#incarnation, life.process.pid));
	}

	/** The process that should send heartbeats, also while it drains; null = none. */
	get #beating(): Life | null {
		return this.#state.kind === "serving" || this.#state.kind === "leaving" ? this.#state.life : null;
	}

	get beatMs(): number | null {
		return this.#beating === null ? null : this.#spec.lastBeatMs();
	}

	scheduled(): Scheduled {
		const pid = this.#beating?.process.pid;
		return pid === undefined ? new Map() : scheduled(pid);
	}

	onSilent(silentMs: number): void {
		const { heartbeatTimeoutMs } = this.#spec.timeouts();
		this.#log.warn(
			`${this.name} does not respond: no heartbeat for ${Math.round(silentMs)} ms; it is killed after ${heartbeatTimeoutMs} ms`,
		);
		this.#spec.onSilent(true);
	}

	onRecovered(silentMs: number): void {
		this.#log.info(`${this.name} responds again, after ${Math.round(silentMs)} ms`);
		this.#spec.onSilent(false);
	}

	/** Kills the hung child, since others wait for it. What it may still use can be freed only after it was reaped. */
	onHung(silentMs: number, waitedMs: number): void {
		const life = this.#beating;
		if (life === null) return;
		const waited = waitedMs < 1 ? "" : `, of which it waited ${Math.round(waitedMs)} ms for a CPU`;
		this.#killHung(life, `no heartbeat for ${Math.round(silentMs)} ms${waited}`);
	}

	/** Kills the child because it does not release the lock of a log, which cannot be freed before it was reaped. */
	onLockHeld(heldMs: number): void {
		if (this.#state.kind === "starting" || this.#state.kind === "serving" || this.#state.kind === "leaving")
			this.#killHung(this.#state.life, `it has held the lock of a log for ${Math.round(heldMs)} ms`);
	}

	#killHung(life: Life, why: string): void {
		if (life.killed) return;
		life.killed = true;
		this.#log.error({ childPid: life.process.pid }, `${this.name} hangs: ${why}; killing it`);
		life.process.kill("SIGKILL");
	}

	/** False when there is no process. */
	send(message: ToChild): boolean {
		return this.#state.kind === "serving" && this.#state.life.link.send(message);
	}

	/**
	 * Sends what is new to the child, also if it is still starting, since its start message has the old state. A child that is started later gets the
	 * new one then.
	 */
	renew(message: Extract<ToChild, { type: "config" | "backends" }>): void {
		if (this.#state.kind === "starting" || this.#state.kind === "serving") this.#state.life.link.send(message);
	}

	/** Like `renew`, for the certificates of new connections. @returns why the child does not use them; null = it does, or is not there. Never rejects. */
	async useCertificates(certificates: readonly Certificate[]): Promise<string | null> {
		const state = this.#state;
		if (state.kind === "starting") state.life.link.send({ type: "certificates", certificates });
		if (state.kind !== "serving") return null;
		try {
			await state.life.link.request(certificatesQuestion.name, certificates, certificatesQuestion.deadlineMs);
			return null;
		} catch (error) {
			// One that has died gets them when it is started again. That it is gone is heard before that it has ended.
			if (!state.life.process.connected) await state.life.exited;
			return this.#state === state ? `${this.name}: ${(error as Error).message}` : null;
		}
	}

	/** Rejects when the child does not serve, or does not answer within the deadline. */
	async request(question: string, request: unknown, deadlineMs: number): Promise<unknown> {
		if (this.#state.kind !== "serving") throw new Error(`${this.name} does not serve`);
		return this.#state.life.link.request(question, request, deadlineMs);
	}

	/**
	 * Starts a second process of this child, which loads the installed program and waits to take the place of the first one: in `replace`, or earlier if that
	 * one dies. Rejects with the reason when it cannot be loaded. Then nothing has changed.
	 */
	async warmUp(): Promise<void> {
		this.coolDown();
		const life = this.#fork();
		this.#warm = life;
		const { readyTimeoutMs } = this.#spec.timeouts();
		const timer = setTimeout(() => life.process.kill("SIGKILL"), readyTimeoutMs);
		const problem = await Promise.race([
			life.loaded.then(() => null),
			life.exited.then(() => (life.killed ? "it was ended" : `it ${deathOf(life)}`)),
		]);
		clearTimeout(timer);
		if (problem === null) return;
		if (this.#warm === life) this.#warm = null;
		throw new Error(`a new process of ${this.name} could not be loaded: ${problem}`);
	}

	/** Ends the process that `warmUp` has started. */
	coolDown(): void {
		const life = this.#warm;
		this.#warm = null;
		if (life === null) return;
		life.killed = true;
		life.process.kill("SIGKILL");
	}

	/**
	 * Drains the process and starts another one in its place, which must serve at its first attempt: a version that does not work must not end the whole
	 * cluster as a crash loop. If it does not serve, the child stays down until `replace` is called again.
	 */
	async replace(deadlineMs: number): Promise<Replaced> {
		const hadProcess = this.#state.kind === "serving";
		const drained = hadProcess ? await this.#drainOnce({ deadlineMs, replaced: true }) : null;
		if (!hadProcess) await this.#halt();
		if (this.#state.kind !== "gone") return { drained, problem: "the cluster stops" };
		if (this.#isEnding) return { drained, problem: "the cluster stops" };
		const problem = await new Promise<string | null>((settle) => {
			this.#attempt = { settle };
			this.start();
		});
		return { drained, problem };
	}

	/**
	 * Lets the child finish its work and exit; kills it after the deadline. It is not started again. A child that does not serve has no work and is
	 * killed at once.
	 * @param immediate its clients are closed first.
	 */
	async drain(deadlineMs: number, immediate = false): Promise<ChildDrained> {
		return this.#drainOnce({ deadlineMs, immediate });
	}

	async #drainOnce(how: { readonly deadlineMs: number; readonly immediate?: boolean; readonly replaced?: boolean }): Promise<ChildDrained> {
		// It may drain already, since it is being replaced.
		if (this.#draining !== null) return this.#draining;
		if (this.#state.kind !== "serving") {
			await this.#halt();
			return { cutOff: 0, finished: true };
		}
		this.#draining = this.#drain(this.#state.life, how);
		const outcome = await this.#draining;
		this.#draining = null;
		return outcome;
	}

	async #drain(
		life: Life,
		how: { readonly deadlineMs: number; readonly immediate?: boolean; readonly replaced?: boolean },
	): Promise<ChildDrained> {
		const { deadlineMs } = how;
		this.#state = { kind: "leaving", life };
		// The child's deadline is a little shorter, so that it can still report what it cut off.
		life.link.send({ type: "drain", ...how, deadlineMs: deadlineMs - Math.min(1000, deadlineMs / 5) });
		const timer = setTimeout(() => life.process.kill("SIGKILL"), deadlineMs);
		await life.exited;
		clearTimeout(timer);
		if (life.drained === null) {
			const { connectionsLost } = life;
			const detail = `${this.name} did not finish (it ${deathOf(life)}) and had ${counted(connectionsLost, "connection")}`;
			return { cutOff: connectionsLost, detail, finished: false };
		}
		if (life.process.exitCode === 0) return { ...life.drained, finished: true };
		// Clients have what they were to get, but what a stop writes last may be missing.
		return { ...life.drained, detail: `${this.name} had drained, but did not stop (it ${deathOf(life)})`, finished: false };
	}

	/** Call before the last `drain`: it is not started again, not even by a `replace` that is in progress. */
	end(): void {
		this.#isEnding = true;
		this.coolDown();
	}

	/** Kills the child without a restart. Resolves when the process is gone. */
	async kill(): Promise<void> {
		this.end();
		await this.#halt();
	}

	async #halt(): Promise<void> {
		const state = this.#state;
		switch (state.kind) {
			case "idle":
			case "gone":
				this.#state = { kind: "gone" };
				return;
			case "waiting":
				clearTimeout(state.restartTimer);
				this.#state = { kind: "gone" };
				return;
			case "starting":
				clearTimeout(state.readyTimer);
				break;
			case "serving":
			case "leaving":
				break;
			default:
				state satisfies never;
		}
		this.#state = { kind: "leaving", life: state.life };
		state.life.process.kill("SIGKILL");
		await state.life.exited;
	}

	#fork(): Life {
		const process = this.#spec.launch();
		const link = new ChildLink(
			process,
			(message) => this.#onMessage(life, message),
			(question, request) => this.#spec.answer(question, request),
		);
		const exited = exitOf(process);
		const { promise: loaded, resolve: onLoaded } = withResolvers<void>();
		const life: Life = {
			...{ process, link, exited, loaded, onLoaded },
			...{ fatal: null, drained: null, connectionsLost: 0, killed: false, startError: null },
		};
		process.on("error", (error) => {
			if (process.pid === undefined) life.startError = error;
		});
		void life.exited.then(() => this.#onExit(life));
		return life;
	}

	#onMessage(life: Life, message: ChildReport): void {
		switch (message.type) {
			case "loaded":
				life.onLoaded();
				return;
			case "ready":
				if (this.#state.kind !== "starting" || this.#state.life !== life) return;
				clearTimeout(this.#state.readyTimer);
				this.#state = { kind: "serving", life, readyMs: monotonicMs() };
				this.#everReady = true;
				this.#version = message.version ?? null;
				this.#spec.onReady(message.port);
				this.#settle(null);
				return;
			case "fatal":
				life.fatal = message;
				return;
			case "notReloaded":
				this.#spec.onNotReloaded(message.message);
				return;
			case "drained":
				life.drained = message;
				return;
			default:
				message satisfies never;
		}
	}

	#settle(problem: string | null): void {
		const attempt = this.#attempt;
		this.#attempt = null;
		attempt?.settle(problem);
	}

	#onExit(life: Life): void {
		const state = this.#state;
		// It has waited to replace another one, and had nothing to lose.
		if (!("life" in state) || state.life !== life) return;
		if (state.kind === "starting") clearTimeout(state.readyTimer);
		life.connectionsLost = this.#spec.connections();
		this.#spec.onDeath((state.kind !== "starting" && state.kind !== "serving") || this.#attempt !== null);
		if (state.kind !== "starting" && state.kind !== "serving") {
			this.#state = { kind: "gone" };
			this.#settle("it was ended");
			return;
		}
		if (this.#attempt !== null) {
			const why = `${this.name} ${deathOf(life)} before it served`;
			this.#log.error({ childPid: life.process.pid, incarnation: this.#incarnation }, `${why}; it is not started again by itself`);
			this.#state = { kind: "gone" };
			this.#settle(why);
			return;
		}
		const { fatal } = life;
		if (fatal !== null && !this.#everReady) {
			this.#fail(
				new StartupError(fatal.message, { exitStatus: fatal.exitStatus, ...(fatal.flag === undefined ? {} : { flag: fatal.flag }) }),
			);
			return;
		}
		const nowMs = monotonicMs();
		const verdict = this.#spec.policy.died(nowMs, state.kind === "serving" ? nowMs - state.readyMs : null);
		const { connectionsLost } = life;
		const fields = { childPid: life.process.pid, incarnation: this.#incarnation, connectionsLost };
		if (verdict.kind === "giveUp") {
			const when = verdict.withinMs === null ? "in a row before it was ready" : `within ${verdict.withinMs / 1000} s`;
			const why = `${this.name} died ${verdict.deaths} times ${when}, the last time it ${deathOf(life)}`;
			this.#log.error(fields, `${why}; giving up`);
			this.#fail(new StartupError(`crash loop: ${why}; see its log lines above`, { exitStatus: 1 }));
			return;
		}
		const afterMs = Math.round(verdict.afterMs);
		const lost = connectionsLost === 0 ? "" : ` with ${counted(connectionsLost, "connection")}`;
		this.#log.warn(fields, `${this.name} ${deathOf(life)}${lost}; restarting it in ${afterMs} ms`);
		this.#state = { kind: "waiting", restartTimer: setTimeout(() => this.start(), afterMs) };
	}

	#fail(error: StartupError): void {
		this.#state = { kind: "gone" };
		this.#spec.onFailure(error);
	}
}

function runs({ exitCode, signalCode }: ChildProcess): boolean {
	return exitCode === null && signalCode === null;
}

/** For people, after its name: how it ended. */
function deathOf({ startError, fatal, process }: Life): string {
	if (startError !== null) return `could not be started (${startError.message})`;
	if (fatal !== null) return `failed with a fatal error (${fatal.message.split("\n")[0]})`;
	return process.signalCode === null ? `ended with exit status ${process.exitCode}` : `was killed by ${process.signalCode}`;
}

function withResolvers<T>(): { promise: Promise<T>; resolve(value: T): void } {
	let resolve!: (value: T) => void;
	const promise = new Promise<T>((settle) => {
		resolve = settle;
	});
	return { promise, resolve };
}

/** Resolves when the process is gone and its channel has been read to the end. */
async function exitOf(child: ChildProcess): Promise<void> {
	// "error" without a pid: the fork itself failed, and no exit follows.
	await new Promise<void>((resolve) => {
		child.once("exit", () => resolve());
		child.on("error", () => child.pid === undefined && resolve());
	});
	if (child.connected) await once(child, "disconnect", { signal: AbortSignal.timeout(lastWordsMs) }).catch(() => {});
}
