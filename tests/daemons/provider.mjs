// A real OpenID provider for the tests: npm oidc-provider with accounts in memory. argv: port, redirect URI, secret.
import Provider from "oidc-provider";

const [port, redirectUri, secret] = process.argv.slice(2);
const groups = { dana: ["it-oncall", "staff"], kim: ["staff"], robin: ["it-admin"] };
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: "healthmon", client_secret: secret, redirect_uris: [redirectUri] }],
  pkce: { required: () => true, methods: ["S256"] },
  claims: { openid: ["sub"], profile: ["name", "preferred_username", "groups"] },
  conformIdTokenClaims: process.env.IN_ID_TOKEN !== "1",
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: `id-${id}`, name: `${id} example`, preferred_username: id, groups: groups[id] ?? [] }),
  }),
});
provider.listen(Number(port), "127.0.0.1");
