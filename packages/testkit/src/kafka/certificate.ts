import { readFileSync } from "node:fs";
import { join } from "node:path";
import { KafkaUnavailable, runTool } from "./jars.ts";
import type { SslStore } from "./properties.ts";

/** A self-signed certificate for 127.0.0.1 in `directory`, made by Java's keytool; `caPath` is what a client trusts. */
export async function selfSignedStore(directory: string): Promise<SslStore & { readonly caPath: string }> {
	const store = { keystorePath: join(directory, "broker.p12"), password: "shardcast", caPath: join(directory, "ca.pem") };
	const common = ["-keystore", store.keystorePath, "-storetype", "PKCS12", "-storepass", store.password, "-alias", "broker"];
	const steps = [
		[
			"-genkeypair",
			...common,
			"-keyalg",
			"RSA",
			"-keysize",
			"2048",
			"-validity",
			"3",
			"-dname",
			"CN=127.0.0.1",
			"-ext",
			"SAN=ip:127.0.0.1,dns:localhost",
		],
		["-exportcert", ...common, "-rfc", "-file", store.caPath],
	];
	for (const args of steps) {
		const { status, output } = await runTool("keytool", args, 30_000);
		if (status !== 0) throw new KafkaUnavailable(`keytool ended with status ${status}: ${output}`, "Install a full Java 17");
	}
	readFileSync(store.caPath);
	return store;
}
