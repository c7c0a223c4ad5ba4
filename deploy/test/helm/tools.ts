import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "../commands.ts";

export interface HelmTools {
	readonly helm: string;
	readonly kubeconform: string;
}

/** Where deploy/test/helm/install.sh puts them. */
const installed = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "shardcast-ci/helm");

/** helm and kubeconform, of those that install.sh has built, or else of the PATH. Without them, null, and one loud line. */
export async function helmTools(): Promise<HelmTools | null> {
	const helm = await find("helm", ["version"]);
	const kubeconform = await find("kubeconform", ["-v"]);
	if (helm !== null && kubeconform !== null) return { helm, kubeconform };
	const missing = [helm === null ? "helm" : "", kubeconform === null ? "kubeconform" : ""].filter(Boolean).join(" and ");
	process.stderr.write(`\n!!! SKIPPED: no ${missing} for the Helm chart (with Go: deploy/test/helm/install.sh) !!!\n\n`);
	return null;
}

async function find(name: string, args: readonly string[]): Promise<string | null> {
	for (const command of [join(installed, name), name]) {
		const works = await run(command, args).then(
			({ status }) => status === 0,
			() => false,
		);
		if (works) return command;
	}
	return null;
}
