#!/bin/sh
# Makes the secret files that docker-compose.yml mounts; keeps those that are there. Needs openssl.
#   infra/make-secrets.sh [FOLDER]        (default: ./secrets)
set -eu
folder=${1:-secrets}
umask 077
mkdir -p "$folder"

# The containers' users are not the owner of these files, so the files are readable and the folder is closed.
write() {
    if [ -e "$folder/$1" ]; then
        cat >/dev/null
    else
        cat >"$folder/$1.new"
        chmod 444 "$folder/$1.new"
        mv "$folder/$1.new" "$folder/$1"
        echo "made $folder/$1"
    fi
}

random() { openssl rand -hex 32; }

random | tr -d '\n' | write postgres_password
random | tr -d '\n' | write redis_password
openssl rand -base64 48 | tr -d '\n' | write secret_key
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt | write vapid.pem
random | tr -d '\n' | write grafana_password
printf 'postgresql+psycopg://carecircle:%s@postgres:5432/carecircle' "$(cat "$folder/postgres_password")" | write database_url
printf 'redis://:%s@redis:6379/0' "$(cat "$folder/redis_password")" | write redis_url

# What your mail server wants, written by you; empty means that it asks for no login.
: | write smtp_password
