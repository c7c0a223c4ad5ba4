import { defaultConfig } from "@shardcast/config";
import { beforeAll, describe } from "vitest";
import type { RawSession } from "../../../src/sessions/raw/raw-session.ts";
import { clientSessionContract } from "../../contracts/session-contract.ts";
import { RawRig } from "../../support/raw-rig.ts";
import { tokenOf, tokenSecret } from "../../support/tokens.ts";

describe("the session of a raw client with a token", () => {
	let token: string;
	beforeAll(async () => {
		token = await tokenOf({ sub: "ann", exp: Math.floor(Date.now() / 1000) + 3600 });
	});

	clientSessionContract(() => {
		const channel = { allowSubscribeForClient: true, allowPublishForSubscriber: true, presence: true, joinLeave: true };
		const rig = new RawRig({
			tokenHmacSecret: tokenSecret,
			userConnectionLimit: 10,
			channelWithoutNamespace: { ...defaultConfig().channelWithoutNamespace, ...channel },
		});
		return {
			sessions: rig.sessions,
			leaving: rig.leaving,
			frame: "hello",
			soon: () => rig.soon(),
			create: async () => (await rig.connect(`channels=a,b&token=${token}`)) as RawSession,
			handled: () => rig.published.length,
			kept: () => rig.kept,
		};
	});
});
