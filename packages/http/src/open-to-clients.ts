import type { Config } from "@shardcast/config";

type ConnectConfig = Pick<Config, "clientInsecure" | "allowAnonymousConnect">;

/** The banner's line about clients of the Centrifuge protocol that need no token; null if all need one. */
export function openToClients({ clientInsecure, allowAnonymousConnect }: ConnectConfig): string | null {
	if (clientInsecure)
		return "insecure mode: every client of the Centrifuge protocol may subscribe, publish, and read history and presence (--client-insecure)";
	return allowAnonymousConnect ? "clients of the Centrifuge protocol need no token to connect (--allow-anonymous-connect)" : null;
}
