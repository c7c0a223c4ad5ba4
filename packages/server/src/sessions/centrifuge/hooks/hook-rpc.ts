import { ErrorCode } from "@shardcast/protocol";
import type { Hooks } from "../../../hooks/hooks.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import { fails, type Handle, type Outcome } from "../commands/commands.ts";
import { payloadFor } from "../framing.ts";
import { type HookCalls, withoutResult } from "./hook-calls.ts";

interface HookRpcParts {
	readonly hooks: Pick<Hooks, "rpc">;
	readonly calls: Pick<HookCalls, "ask">;
	/** Whether the client may send one more call now. */
	readonly underRate: (session: CentrifugeSession) => boolean;
}

/** Forwards calls of clients to a backend. Null = no backend serves calls. */
export function rpcByHook({ hooks, calls, underRate }: HookRpcParts): Handle<"rpc"> {
	return (session, { method, data }): Outcome | Promise<Outcome> => {
		const hook = hooks.rpc(method);
		if (hook === null) return null;
		if (typeof hook === "number") return fails(hook);
		if (!underRate(session)) return fails(ErrorCode.tooManyRequests);
		return calls.ask(hook, session, { method, data }).then((answer): Outcome => {
			if (typeof answer === "string" || !("result" in answer)) return withoutResult(answer);
			const { data: given } = answer.result;
			return { rpc: given === null ? {} : { data: payloadFor(session.framing, given) } };
		});
	};
}
