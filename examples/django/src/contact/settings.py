from workers import env

SECRET_KEY = env.SECRET_KEY
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "contact.urls"
INSTALLED_APPS = ["contact"]
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
USE_TZ = True
