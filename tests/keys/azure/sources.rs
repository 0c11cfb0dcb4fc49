//! Where Azure's credentials come from, each place asked as SOPS asks it.

use std::fs;

use serde_json::json;

use super::{Asked, Cloud, PLAIN, Reply, StandIn, TENANT, TOKEN, answer, form, plain};
use crate::files::repository;
use crate::keys::clouds::{Tunnel, claims};
use crate::keys::free_address;

#[test]
fn an_app_asks_for_the_token_of_the_vault() {
    let cloud = Cloud::new();
    cloud.sandbox.env("AZURE_CLIENT_ID", "my id");
    cloud.encrypt();
    let asked = cloud.tokens.asked();
    let fields = form(asked[0].path.split_once('?').unwrap().1);
    assert_eq!(fields["api-version"], "2019-08-01");
    assert_eq!(fields["resource"], cloud.resource());
    assert_eq!(fields["client_id"], "my id");
}

#[test]
fn a_machine_of_the_cloud_has_a_token() {
    let cloud = Cloud::without_credentials();
    cloud.sandbox.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", cloud.tokens.url());
    cloud.assert_decrypts();
    let asked = cloud.tokens.asked();
    let fields = form(asked.last().unwrap().path.split_once('?').unwrap().1);
    assert_eq!(fields["api-version"], "2018-02-01");
}

#[test]
fn a_client_with_a_secret_decrypts() {
    let cloud = Cloud::without_credentials();
    cloud
        .sandbox
        .env("AZURE_AUTHORITY_HOST", cloud.tokens.url())
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", "me")
        .env("AZURE_CLIENT_SECRET", "canary/+ &=");
    cloud.assert_decrypts();
    let form = cloud.form();
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!((&*form["client_id"], &*form["client_secret"]), ("me", "canary/+ &="));
    assert_eq!(form["scope"], format!("{}/.default", cloud.resource()));
}

#[test]
fn a_client_with_a_certificate_decrypts() {
    let cloud = Cloud::without_credentials();
    let keys = repository().join("testdata/keys");
    let pem = ["rsa-certificate.pem", "rsa.pem"].map(|name| fs::read(keys.join(name)).unwrap());
    let pem = cloud.sandbox.write("client.pem", pem.concat());
    cloud
        .sandbox
        .env("AZURE_AUTHORITY_HOST", format!("{}/", cloud.tokens.url()))
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", "me")
        .env("AZURE_CLIENT_CERTIFICATE_PATH", pem);
    cloud.assert_decrypts();
    let form = cloud.form();
    let assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!(form["client_assertion_type"], assertion);
    let claims = claims(&form["client_assertion"]);
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("me"), &json!("me")));
    assert_eq!(claims["aud"], format!("{}/{TENANT}/oauth2/v2.0/token", cloud.tokens.url()));
}

#[test]
fn a_workload_decrypts_with_the_token_of_its_cluster() {
    let cloud = Cloud::without_credentials();
    let token = cloud.sandbox.write("token", "canary-federated\n");
    cloud
        .sandbox
        .env("AZURE_AUTHORITY_HOST", cloud.tokens.url())
        .env("AZURE_TENANT_ID", "another")
        .env("AZURE_ADDITIONALLY_ALLOWED_TENANTS", "*")
        .env("AZURE_CLIENT_ID", "me")
        .env("AZURE_FEDERATED_TOKEN_FILE", token);
    cloud.assert_decrypts();
    assert_eq!(cloud.form()["client_assertion"], "canary-federated");
}

#[test]
fn the_login_of_a_program_decrypts() {
    let cloud = Cloud::without_credentials();
    let script = |json: &str| format!("#!/bin/sh\necho \"$@\" > arguments\necho '{json}'\n");
    let az = script(r#"{"accessToken":"canary-token","expires_on":4102444800}"#);
    cloud.sandbox.program("az", &az);
    cloud.assert_decrypts();
    let (resource, arguments) = (cloud.resource(), cloud.sandbox.read("arguments"));
    let expected = format!("--resource {resource} --tenant {TENANT}\n");
    assert_eq!(arguments, format!("account get-access-token -o json {expected}"));

    // One that is not logged in does not keep the next from being asked.
    cloud.sandbox.program("az", "#!/bin/sh\necho ERROR: run az login >&2\nexit 1\n");
    cloud.sandbox.program("azd", &script(r#"{"token":"canary-token","expiresOn":"x"}"#));
    cloud.assert_decrypts();
    let expected = format!("--no-prompt --scope {resource}/.default --tenant-id {TENANT}\n");
    let arguments = cloud.sandbox.read("arguments");
    assert_eq!(arguments, format!("auth token -o json {expected}"));
}

#[test]
fn the_login_of_powershell_decrypts() {
    let cloud = Cloud::without_credentials();
    cloud.sandbox.env("AZURE_TOKEN_CREDENTIALS", "AzurePowerShellCredential");
    let script = |json: &str| {
        format!("#!/bin/sh\necho \"$ENCFILE_RESOURCE $ENCFILE_TENANT $*\" > said\necho '{json}'\n")
    };
    cloud.sandbox.program("pwsh", &script(r#"{"token":"canary-token","end":4102444800}"#));
    cloud.assert_decrypts();
    let said = cloud.sandbox.read("said");
    let start = format!(
        "{} {TENANT} -NoProfile -NonInteractive -OutputFormat Text -Command ",
        cloud.resource()
    );
    assert!(said.starts_with(&start), "{said}");
    cloud.sandbox.program("pwsh", &script(r#"{"Token":"canary-token","ExpiresOn":4102444800}"#));
    let places = ["Azure PowerShell: `pwsh` did not print a token"];
    cloud.assert_fails("no identity for it was found", &places);
    // SOPS asks for the other spelling, and no variables.
    let decrypt = ["decrypt", "app.json"];
    cloud.sandbox.real_sops(decrypt).go().success().stdout(PLAIN);
}

#[test]
fn a_program_that_hangs_is_ended() {
    let cloud = Cloud::without_credentials();
    cloud.sandbox.env("AZURE_TOKEN_CREDENTIALS", "AzureCLICredential");
    cloud.sandbox.program("az", "#!/bin/sh\nsleep 120\n");
    let place = "Azure CLI: `az` was ended, because it had no token after 10 seconds: run it \
                 yourself to see what it waits for";
    cloud.assert_fails("no identity for it was found", &[place]);
}

/// Checks that both programs decrypt, and ask for a token in the same way; returns that.
#[track_caller]
fn assert_same_question(cloud: &Cloud) -> Asked {
    let before = cloud.tokens.asked().len();
    cloud.assert_decrypts();
    cloud.sandbox.real_sops(["decrypt", "app.json"]).go().success().stdout(PLAIN);
    let asked = cloud.tokens.asked().split_off(before);
    let [ours, theirs] = &asked[..] else { panic!("{asked:?}") };
    let parts = |asked: &Asked| {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        (asked.method.clone(), path.to_owned(), form(query), form(&asked.body))
    };
    assert_eq!(parts(ours), parts(theirs));
    for name in ["metadata", "secret", "x-identity-header"] {
        assert_eq!(ours.header(name), theirs.header(name), "{name}");
    }
    ours.clone()
}

#[test]
fn each_place_of_the_cloud_is_asked_as_sops_asks_it() {
    let cloud = Cloud::without_credentials();
    let endpoint = format!("{}/place", cloud.tokens.url());
    let variables = |variables: &[(&str, &str)]| {
        for name in [
            "AZURE_CLIENT_ID",
            "IDENTITY_ENDPOINT",
            "IDENTITY_HEADER",
            "IDENTITY_SERVER_THUMBPRINT",
            "MSI_ENDPOINT",
            "MSI_SECRET",
            "DEFAULT_IDENTITY_CLIENT_ID",
        ] {
            cloud.sandbox.no_env(name);
        }
        for (name, value) in variables {
            cloud.sandbox.env(name, value);
        }
    };
    cloud.sandbox.env("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential");
    let app = [("IDENTITY_ENDPOINT", &*endpoint), ("IDENTITY_HEADER", "canary-header")];
    let cluster = [app[0], app[1], ("IDENTITY_SERVER_THUMBPRINT", "00")];
    let me = ("AZURE_CLIENT_ID", "me");
    variables(&[app[0], app[1], me]);
    let asked = assert_same_question(&cloud);
    assert_eq!(asked.header("x-identity-header"), Some("canary-header"));
    variables(&cluster);
    assert_eq!(assert_same_question(&cloud).header("secret"), Some("canary-header"));
    let shell = ("MSI_ENDPOINT", &*endpoint);
    variables(&[shell]);
    assert_eq!(assert_same_question(&cloud).method, "POST");
    // Without a header it is no app.
    variables(&[app[0], shell]);
    assert_eq!(assert_same_question(&cloud).method, "POST");
    let learning = [shell, ("MSI_SECRET", "canary-secret")];
    let other = ("DEFAULT_IDENTITY_CLIENT_ID", "other");
    for more in [&[me][..], &[other], &[me, other]] {
        variables(&[&learning[..], more].concat());
        assert_eq!(assert_same_question(&cloud).header("secret"), Some("canary-secret"));
    }

    let only = |place: &str| {
        cloud.failed(&format!(
            "managed identity: AZURE_CLIENT_ID names an identity, but {place} has only its own: \
             unset it"
        ))
    };
    let arc = [app[0], ("IMDS_ENDPOINT", &*endpoint), me];
    for (place, names) in [
        ("Service Fabric", &[cluster[0], cluster[1], cluster[2], me][..]),
        ("Cloud Shell", &[shell, me]),
        ("Azure Arc", &arc),
    ] {
        variables(names);
        cloud.assert_fails(&only(place), &[]);
        cloud.sandbox.real_sops(["decrypt", "app.json"]).go().code(128);
    }
}

#[test]
fn an_agent_of_azure_arc_gets_no_other_file() {
    let cloud = Cloud::without_credentials();
    let file = cloud.sandbox.write("stolen.key", "canary");
    let realm = format!("Basic realm={}", file.display());
    let agent = StandIn::start(move |_| Reply::json(401, "{}").header("WWW-Authenticate", &*realm));
    let endpoint = format!("{}/token", agent.url());
    cloud
        .sandbox
        .env("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        .env("IDENTITY_ENDPOINT", &endpoint)
        .env("IMDS_ENDPOINT", &endpoint);
    let why = format!(
        "managed identity: {endpoint}: the file that is asked for is no key in \
         `/var/opt/azcmagent/tokens`"
    );
    cloud.assert_fails(&cloud.failed(&why), &[]);
    cloud.sandbox.real_sops(["decrypt", "app.json"]).go().code(128);
    let asked = agent.asked();
    let shown = asked.iter().filter(|asked| asked.header("authorization").is_some()).count();
    assert_eq!((asked.len(), shown), (2, 0));
}

#[test]
fn a_user_with_a_password_decrypts() {
    // SOPS asks Microsoft about the address of the login first: a proxy leads to the stand-in, which
    // is the vault, too.
    let cloud =
        StandIn::start_tls(&["login.microsoftonline.com", "team.vault.azure.net"], |asked| {
            let path = asked.path.split('?').next().unwrap();
            let login = format!("https://login.microsoftonline.com/{TENANT}");
            if path.starts_with("/keys/") {
                return answer(asked, "https://vault.azure.net");
            }
            let reply = if path.ends_with("/.well-known/openid-configuration") {
                json!({
                    "issuer": format!("{login}/v2.0"),
                    "authorization_endpoint": format!("{login}/oauth2/v2.0/authorize"),
                    "token_endpoint": format!("{login}/oauth2/v2.0/token"),
                })
            } else if path == "/common/discovery/instance" {
                let next = format!("{login}/v2.0/.well-known/openid-configuration");
                json!({"tenant_discovery_endpoint": next, "metadata": []})
            } else if path == "/common/UserRealm/canary-user" {
                json!({"account_type": "Managed", "cloud_instance_name": "microsoftonline.com",
                "cloud_audience_urn": "urn:federation:MicrosoftOnline", "domain_name": "x"})
            } else {
                assert_eq!(path, format!("/{TENANT}/oauth2/v2.0/token"));
                let fields = form(&asked.body);
                assert_eq!(fields["grant_type"], "password");
                assert_eq!(
                    (&*fields["username"], &*fields["password"]),
                    ("canary-user", "canary pass")
                );
                assert_eq!(fields["client_id"], "me");
                assert!(fields["scope"].contains("https://vault.azure.net/.default"), "{fields:?}");
                json!({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer",
                "scope": "https://vault.azure.net/.default"})
            };
            Reply::json(200, reply.to_string())
        });
    let (tunnel, sandbox) = (Tunnel::to(&cloud.url()), plain());
    sandbox
        .env("SSL_CERT_FILE", sandbox.write("ca.pem", cloud.certificate()))
        .env("HTTPS_PROXY", tunnel.url())
        .env("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", "me")
        .env("AZURE_USERNAME", "canary-user");
    let encrypt =
        ["encrypt", "--azure-kv", "https://team.vault.azure.net/keys/k1/v1", "-i", "app.json"];
    let message = "environment: AZURE_USERNAME is set, and AZURE_PASSWORD is not";
    sandbox.encfile(encrypt).go().failure().says([message]);
    sandbox.env("AZURE_PASSWORD", "canary pass");
    sandbox.encfile(encrypt).go().success();
    sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);
    sandbox.real_sops(["decrypt", "app.json"]).go().success().stdout(PLAIN);
}

#[test]
fn without_credentials_each_place_is_named() {
    let cloud = Cloud::without_credentials();
    let nobody = format!("http://{}", free_address());
    cloud.sandbox.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", &nobody);
    cloud.sandbox.program("az", "#!/bin/sh\necho ERROR: run az login >&2\nexit 1\n");
    let places = [
        "environment: AZURE_TENANT_ID and AZURE_CLIENT_ID are not both set",
        "workload identity: AZURE_FEDERATED_TOKEN_FILE is not set",
        &format!("managed identity: {nobody} does not answer"),
        "Azure CLI: `az` failed (exit status: 1): ERROR: run az login",
        "Azure Developer CLI: there is no `azd` in `PATH`",
        "Azure PowerShell: there is no `pwsh` in `PATH`",
    ];
    cloud.assert_fails("no identity for it was found", &places);

    cloud.sandbox.env("AZURE_TOKEN_CREDENTIALS", "prod");
    cloud.assert_fails("no identity for it was found", &places[..3]);
    cloud.sandbox.env("AZURE_TOKEN_CREDENTIALS", "canary");
    let why = "AZURE_TOKEN_CREDENTIALS is none of dev, prod, EnvironmentCredential, \
               WorkloadIdentityCredential, ManagedIdentityCredential, AzureCLICredential, \
               AzureDeveloperCLICredential, AzurePowerShellCredential";
    cloud.assert_fails(&cloud.failed(why), &[]);
}

#[test]
fn a_wrong_secret_is_not_passed_over() {
    let cloud = Cloud::without_credentials();
    let login = StandIn::start(|_| {
        let said = "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1";
        let answer = json!({"error": "invalid_client", "error_description": said});
        Reply::json(401, answer.to_string())
    });
    cloud
        .sandbox
        .env("AZURE_AUTHORITY_HOST", login.url())
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", "me")
        .env("AZURE_CLIENT_SECRET", "canary");
    let why = format!(
        "environment: {}/{TENANT}/oauth2/v2.0/token: status 401: invalid_client: AADSTS7000215: \
         Invalid client secret provided.",
        login.url()
    );
    cloud.assert_fails(&cloud.failed(&why), &[]);
    assert_eq!(login.asked().len(), 1);
}
